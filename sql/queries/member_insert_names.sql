-- In the order of the names, so that enrolments that race wait for each other in one order.
insert into identifier (scheme, value, shard, account)
select n.scheme, n.value, n.shard, n.account
from unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) as n (scheme, value, shard, account)
order by n.scheme, n.value
on conflict do nothing
returning account
