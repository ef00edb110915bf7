-- In the order of the names, so that enrolments that race wait for each other in one order.
insert into identifier (scheme, value, sealed, shard, account)
select n.scheme, n.value, n.sealed, n.shard, n.account
from unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::bigint[]) as n (scheme, value, sealed, shard, account)
order by n.scheme, n.value
on conflict do nothing
returning account
