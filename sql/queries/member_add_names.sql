-- Gives the account $3 in the shard $4 the identifiers that nobody has.
insert into identifier (scheme, value, shard, account)
select n.scheme, n.value, $4::smallint, $3::bigint
from unnest($1::text[], $2::text[]) as n (scheme, value)
order by n.scheme, n.value
on conflict do nothing
