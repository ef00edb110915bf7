-- How many seconds the oldest thing due has been waiting to be posted; 0 when nothing is due.
select coalesce(extract(epoch from greatest(ledger_now() - min(first.due_at), '0')), 0)::double precision
from setting,
    lateral generate_series(0, setting.shards - 1) as one (shard),
    lateral (
        select due_at from account
        where account.shard = one.shard::smallint and due_at is not null
        order by due_at limit 1
    ) as first
