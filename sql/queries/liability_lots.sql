-- Points of accounts with nothing due ($2 now), by tier and by month of expiry in the time zone $1. Points without a date,
-- and idle ones, have no month; those that end with a month belong to that month. Held points and debt come once an account, with its points without a month.
with quiet as (
    select shard, account, tier, held, debt from account where due_at is null or due_at > $2::timestamptz
)
select tier, month, sum(points)::bigint as points, sum(held)::bigint as held, sum(debt)::bigint as debt
from (
    select q.tier, to_char((o.expires_at - interval '1 microsecond') at time zone $1::text, 'YYYY-MM') as month, o.remaining as points,
           0 as held, 0 as debt
    from open_lot o join quiet q on q.shard = o.shard and q.account = o.account
    union all
    select q.tier, null, 0, q.held, q.debt from quiet q where q.held > 0 or q.debt > 0
) p
group by tier, month
