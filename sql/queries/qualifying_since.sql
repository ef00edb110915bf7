-- What counts for accounts' tiers, of those merged into them too, each from an instant of its own on. $1 shard, $2 accounts,
-- $3 their instants.
select f.owner as account, p.qualifying_at, p.qualifying_amount
from unnest($2::bigint[], $3::timestamptz[]) w (account, since)
join family($1::smallint, $2::bigint[]) f on f.owner = w.account
cross join lateral (
    select p.qualifying_at, p.qualifying_amount from posting p
    where p.shard = f.shard and p.account = f.account and p.qualifying_amount <> 0 and p.qualifying_at >= w.since offset 0
) p
