-- What counted for accounts' tiers at an instant, as far as it was known; rows of accounts merged into one count from the
-- merge. $1 shard, $2 accounts, $3 as of, $4 known at.
select f.owner as account, p.qualifying_at, p.qualifying_amount
from family($1::smallint, $2::bigint[]) f
cross join lateral (
    select p.qualifying_at, p.qualifying_amount, p.recorded_at from posting p
    where p.shard = f.shard and p.account = f.account and p.qualifying_amount <> 0 offset 0
) p
where p.qualifying_at <= $3::timestamptz and p.recorded_at <= $4::timestamptz
    and (f.account = f.owner or exists (
        select 1 from posting m where m.shard = f.shard and m.account = f.account and m.kind = 'merge'
            and m.occurred_at <= $3::timestamptz and m.recorded_at <= $4::timestamptz))
