-- What counts for accounts' tiers, of those merged into them too. $1 shard, $2 accounts. (`offset 0`: account by account,
-- whatever the planner thinks of the whole index.)
select f.owner as account, p.qualifying_at, p.qualifying_amount
from family($1::smallint, $2::bigint[]) f
cross join lateral (
    select p.qualifying_at, p.qualifying_amount from posting p
    where p.shard = f.shard and p.account = f.account and p.qualifying_amount <> 0 offset 0
) p
