-- What postings redeemed, held, or held again after a merge, in the order of use, with the lives that the points go back
-- to. $1 accounts, $2 posting numbers.
select u.account, u.posting, u.lot, l.origin, u.points,
       l.earned_at, l.spendable_from, l.expires_at, l.idle, l.purchase_id
from unnest($1::bigint[], $2::integer[]) q (account, posting)
join lot_use u on u.shard = shard_of(q.account) and u.account = q.account and u.posting = q.posting
join lot l on l.shard = u.shard and l.account = u.account and l.lot = u.lot
where u.purpose in ('redeem', 'hold', 'merge')
order by u.account, u.posting, u.ordinal
