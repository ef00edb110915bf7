-- Members by their names and requests by their ids, in one round trip: resolve_members() and find_requests().
select m.places, m.shards, m.accounts, r.recorded
from (
    select array_agg(place) as places, array_agg(shard) as shards, array_agg(account) as accounts
    from resolve_members($2, $3)
) m, (select array_agg(f) as recorded from find_requests($1, $4, $5) f) r
