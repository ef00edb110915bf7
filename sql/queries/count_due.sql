select count(*) from account where shard = $1::smallint and due_at <= $2::timestamptz
