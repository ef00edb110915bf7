-- Names of the accounts $1 to $2 that are sealed with another secret than $3, those that nobody holds.
select scheme, value, sealed from identifier
where account between $1::bigint and $2::bigint and substr(sealed, 1, 4) <> $3::bytea
for update skip locked
