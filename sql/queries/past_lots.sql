-- An account's lots that postings $3 granted, with what postings $3 used of them. A use counts from the later of its own
-- and its lot's time. $1 shard, $2 account, $3 posting numbers, $4 as of.
select l.lot, l.origin, l.points - coalesce(sum(u.points), 0) as remaining, l.earned_at, l.spendable_from, l.expires_at,
       l.idle, l.purchase_id
from lot l
left join lot_use u on u.shard = l.shard and u.account = l.account and u.lot = l.lot and u.posting = any ($3::integer[])
    and u.occurred_at <= $4::timestamptz
where l.shard = $1::smallint and l.account = $2::bigint and l.posting = any ($3::integer[])
group by l.lot, l.origin, l.points, l.earned_at, l.spendable_from, l.expires_at, l.idle, l.purchase_id
having l.points > coalesce(sum(u.points), 0)
