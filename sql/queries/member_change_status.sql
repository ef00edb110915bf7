update account set status = $3::text::account_status
where shard = $1::smallint and account = $2::bigint and status in ('active', 'blocked') and status::text <> $3::text
