-- $1 schemes, $2 hashes until now, $3 hashes from now on, $4 sealed.
update identifier i set value = n.value, sealed = n.sealed
from unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) as n (scheme, was, value, sealed)
where i.scheme = n.scheme and i.value = n.was
