-- What postings used of lots, with the lives that the points go back to. $1 shard, $2 accounts, $3 posting numbers.
select u.account, u.posting, u.lot, u.purpose, u.points,
       l.origin, l.earned_at, l.spendable_from, l.expires_at, l.idle, l.purchase_id
from unnest($2::bigint[], $3::integer[]) q (account, posting)
join lot_use u on u.shard = $1::smallint and u.account = q.account and u.posting = q.posting
join lot l on l.shard = $1::smallint and l.account = u.account and l.lot = u.lot
where u.purpose in ('redeem', 'hold')
