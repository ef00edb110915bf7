-- What an account, and those merged into it, bought, brought back, redeemed and did else, oldest first. $1 shard, $2 account.
select p.kind::text, p.id, p.subject, p.facts, p.recorded_at
from family($1::smallint, array[$2::bigint]) f
cross join lateral (
    select * from full_posting p
    where p.shard = f.shard and p.account = f.account and p.kind in ('purchase', 'return', 'redemption', 'event')
    offset 0
) p
order by p.recorded_at, p.number
