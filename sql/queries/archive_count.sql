-- What archive_postings() would move. $1 shard, $2 first, $3 last account, $4 recorded before.
select count(*) as postings,
       coalesce(sum(coalesce(pg_column_size(p.facts), 0) + coalesce(pg_column_size(p.answer), 0)), 0) as bytes
from posting p
where p.shard = $1::smallint and p.account between $2::bigint and $3::bigint and p.recorded_at < $4::timestamptz
    and (p.facts is not null or p.answer is not null)
