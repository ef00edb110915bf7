-- Gives the account $4 in the shard $5 the identifiers that nobody has: $1 schemes, $2 hashes, $3 sealed.
insert into identifier (scheme, value, sealed, shard, account)
select n.scheme, n.value, n.sealed, $5::smallint, $4::bigint
from unnest($1::text[], $2::text[], $3::bytea[]) as n (scheme, value, sealed)
order by n.scheme, n.value
on conflict do nothing
