-- Lots that postings granted (pairs of $2 accounts and $3 posting numbers), with what those postings used of them. A use
-- counts from the later of its own and its lot's time. $1 shard, $4 as of.
with known as (select * from unnest($2::bigint[], $3::integer[]) k (account, posting)),
used as (
    select u.account, u.lot, sum(u.points) as points
    from known k
    join lot_use u on u.shard = $1::smallint and u.account = k.account and u.posting = k.posting
    where u.occurred_at <= $4::timestamptz
    group by u.account, u.lot
)
select l.account, l.lot, l.origin, (l.points - coalesce(u.points, 0))::bigint as remaining, l.points, l.earned_at,
       l.spendable_from, l.expires_at, l.idle, l.purchase_id
from known k
join lot l on l.shard = $1::smallint and l.account = k.account and l.posting = k.posting
left join used u on u.account = l.account and u.lot = l.lot
