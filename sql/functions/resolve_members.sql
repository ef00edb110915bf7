-- Finds accounts by their names and requests by their ids, without locking anything. `position` counts p_values from 1.
create or replace function resolve_members(p_schemes text[], p_values text[])
returns table (place bigint, shard smallint, account bigint) language sql stable as $$
    select q.place, i.shard, i.account
    from unnest(p_schemes, p_values) with ordinality as q (scheme, value, place)
    join identifier i on i.scheme = q.scheme and i.value = q.value
$$;
