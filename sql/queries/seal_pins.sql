-- Pinned birthdays of the accounts $1 to $2 that are sealed with another secret than $3.
select account, year, birthday from birthday_pin
where account between $1::bigint and $2::bigint and substr(birthday, 1, 4) <> $3::bytea
for update skip locked
