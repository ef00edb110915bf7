-- Purchases, redemptions and claims that requests are about, and everything that was posted about them, oldest first; `owner` is
-- the account that they belong to now. $1 shard, $2 accounts, $3 ids (the two name pairs: account by account).
with wanted as (
    select distinct q.account as owner, f.shard, f.account, q.id
    from unnest($2::bigint[], $3::text[]) q (account, id)
    join family($1::smallint, $2::bigint[]) f on f.owner = q.account
)
select w.owner, p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
       p.qualifying_amount, p.fingerprint, p.facts, p.answer
from wanted w
cross join lateral (
    select * from full_posting p where p.shard = w.shard and p.id = w.id and p.kind in ('purchase', 'redemption', 'claim') offset 0
) p
where p.account = w.account
union
select w.owner, p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
       p.qualifying_amount, p.fingerprint, p.facts, p.answer
from wanted w
cross join lateral (
    select * from full_posting p where p.shard = w.shard and p.account = w.account and p.subject = w.id offset 0
) p
order by recorded_at, number
