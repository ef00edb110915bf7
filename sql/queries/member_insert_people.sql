insert into person (account, name, birthday)
select n.account, n.name, n.birthday
from unnest($1::bigint[], $2::text[], $3::date[]) as n (account, name, birthday)
