update birthday_pin b set birthday = n.birthday
from unnest($1::bigint[], $2::integer[], $3::bytea[]) as n (account, year, birthday)
where b.account = n.account and b.year = n.year
