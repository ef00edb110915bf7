-- What counts for accounts' tiers, of those merged into them too. $1 shard, $2 accounts.
select f.owner as account, p.qualifying_at, p.qualifying_amount
from family($1::smallint, $2::bigint[]) f
join posting p on p.shard = f.shard and p.account = f.account
where p.qualifying_amount <> 0
