-- Removes everything that leads to the person behind an account, those merged into it too. $1 shard, $2 account.
with f as (
    select account from family($1::smallint, array[$2::bigint])
), names as (
    delete from identifier where account in (select account from f)
), people as (
    delete from person where account in (select account from f)
), pins as (
    delete from birthday_pin where account in (select account from f)
), unmarked as (
    update member set fingerprint = null, channel = null where account in (select account from f)
)
update account a set status = 'erased' where a.shard = $1::smallint and a.account = $2::bigint
