-- Accounts' postings up to an instant, as far as they were known. What was due counts as known from its instant; if it
-- only became due by what was recorded later, from then. $1 shard, $2 accounts, $3 as of, $4 known at.
select account, number, kind::text, id, subject, occurred_at, facts
from (
    select account, number, kind, id, subject, occurred_at,
           case when kind in ('redemption', 'merge') then facts end as facts,
           case when kind in ('expiry', 'timeout', 'verdict')
               then greatest(occurred_at, max(recorded_at) filter (where kind not in ('expiry', 'timeout', 'verdict'))
                                              over (partition by account order by number))
               else recorded_at end as known_at
    from full_posting
    where shard = $1::smallint and account = any ($2::bigint[])
) p
where occurred_at <= $3::timestamptz and known_at <= $4::timestamptz
order by account, number
