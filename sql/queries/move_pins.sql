-- Birthdays that awards of account $1 pinned pin those of account $2, where it has none of its own for the year.
insert into birthday_pin (account, year, birthday)
select $2::bigint, b.year, b.birthday from birthday_pin b where b.account = $1::bigint
on conflict do nothing
