-- An account and those that went into it. $1 shard, $2 account.
select f.account from family($1::smallint, array[$2::bigint]) f
