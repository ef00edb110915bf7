-- Purchases and redemptions that requests are about, and everything that was posted about them, oldest first.
-- $1 shard, $2 accounts, $3 ids (the three name pairs: account by account).
select p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
       p.qualifying_amount, p.fingerprint, p.facts, p.answer
from unnest($2::bigint[], $3::text[]) q (account, id)
join posting p on p.shard = $1::smallint and p.id = q.id and p.kind in ('purchase', 'redemption')
    and p.account = q.account
union
select p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
       p.qualifying_amount, p.fingerprint, p.facts, p.answer
from unnest($2::bigint[], $3::text[]) q (account, id)
join posting p on p.shard = $1::smallint and p.account = q.account and p.subject = q.id
order by account, number
