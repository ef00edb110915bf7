-- Removes what an account, once it is erased, and those merged into it agreed to. $1 shard, $2 account.
delete from consent where account in (select account from family($1::smallint, array[$2::bigint]))
