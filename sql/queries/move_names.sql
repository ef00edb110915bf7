-- Every name of account $1 means the account ($2 shard, $3 account) from now on.
update identifier set shard = $2::smallint, account = $3::bigint where account = $1::bigint
