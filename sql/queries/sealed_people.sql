update person p set name = n.name, name_hash = n.name_hash, birthday = n.birthday
from unnest($1::bigint[], $2::bytea[], $3::text[], $4::bytea[]) as n (account, name, name_hash, birthday)
where p.account = n.account
