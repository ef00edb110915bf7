-- What is known of the people behind the accounts $1 to $2 and sealed with another secret than $3.
select account, name, birthday from person
where account between $1::bigint and $2::bigint
    and (substr(name, 1, 4) <> $3::bytea or substr(birthday, 1, 4) <> $3::bytea)
for update skip locked
