-- What counts for accounts' tiers. $1 shard, $2 accounts.
select p.account, p.qualifying_at, p.qualifying_amount
from posting p
where p.shard = $1::smallint and p.account = any ($2::bigint[]) and p.qualifying_amount <> 0
