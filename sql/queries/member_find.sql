-- The accounts that the names mean: $1 schemes, $2 values.
select i.scheme, i.value, i.shard, i.account
from identifier i
join unnest($1::text[], $2::text[]) as wanted (scheme, value) using (scheme, value)
