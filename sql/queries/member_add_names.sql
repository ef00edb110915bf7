-- Gives the account $3 in the shard $4 the identifiers, and returns every one of them with its owner.
with added as (
    insert into identifier (scheme, value, shard, account)
    select n.scheme, n.value, $4::smallint, $3::bigint
    from unnest($1::text[], $2::text[]) as n (scheme, value)
    order by n.scheme, n.value
    on conflict do nothing
    returning scheme, value
)
select n.scheme, n.value
from unnest($1::text[], $2::text[]) as n (scheme, value)
where not exists (select from added a where a.scheme = n.scheme and a.value = n.value)
