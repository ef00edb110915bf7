-- Accounts' postings up to an instant, as far as they were known. What was due counts as known from its instant.
-- $1 shard, $2 accounts, $3 as of, $4 known at.
select account, number, kind::text, id, subject, occurred_at,
       case when kind in ('redemption', 'merge') then facts end as facts
from posting
where shard = $1::smallint and account = any ($2::bigint[]) and occurred_at <= $3::timestamptz
    and (recorded_at <= $4::timestamptz
         or kind in ('expiry', 'timeout', 'verdict') and occurred_at <= $4::timestamptz)
order by account, number
