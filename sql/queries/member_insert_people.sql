insert into person (account, name, name_hash, birthday)
select n.account, n.name, n.name_hash, n.birthday
from unnest($1::bigint[], $2::bytea[], $3::text[], $4::bytea[]) as n (account, name, name_hash, birthday)
