-- Purchases of an account and of those merged into it, recorded before ($3, $4: instant and number), newest first, at
-- most $5. $1 shard, $2 account.
select p.number, p.facts, p.occurred_at, p.recorded_at
from family($1::smallint, array[$2::bigint]) f
cross join lateral (
    select p.number, p.facts, p.occurred_at, p.recorded_at
    from full_posting p
    where p.shard = f.shard and p.account = f.account and p.kind = 'purchase'
        and (p.recorded_at, p.number) < ($3::timestamptz, $4::integer)
    order by p.number desc limit $5::integer
) p
order by p.recorded_at desc, p.number desc limit $5::integer
