-- The birthdays of the people behind accounts $1, and those that awards of a year pinned.
select a.account, p.birthday, b.years, b.pinned
from unnest($1::bigint[]) a (account)
left join person p on p.account = a.account
cross join lateral (
    select array_agg(b.year) as years, array_agg(b.birthday) as pinned from birthday_pin b where b.account = a.account
) b
where p.birthday is not null or b.years is not null
