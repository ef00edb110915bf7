-- What was posted about a purchase or a redemption, oldest first, wherever its member was merged to since.
-- $1 shard, $2 account that it was recorded for, $3 its id.
with owner as (
    select coalesce(a.merged_shard, a.shard) as shard, coalesce(a.merged_into, a.account) as account
    from account a where a.shard = $1::smallint and a.account = $2::bigint
)
select p.kind::text, p.id, p.occurred_at, p.recorded_at, p.facts, p.answer
from owner o
cross join lateral family(o.shard, array[o.account]) f
cross join lateral (
    select * from full_posting p where p.shard = f.shard and p.account = f.account and p.subject = $3 offset 0
) p
order by p.recorded_at, p.number
