-- What entries of postings (pairs of $2 accounts and $3 posting numbers) come to, by account: their sum, the sums by
-- program account, and the last activity. $1 shard, $4 as of.
select e.account, sum(e.points)::bigint as balance,
       max(e.occurred_at) filter (where e.kind in ('earn', 'redeem')) as active_at,
       coalesce(sum(e.points) filter (where e.counter = 'issued'), 0)::bigint as issued,
       coalesce(sum(e.points) filter (where e.counter = 'redeemed'), 0)::bigint as redeemed,
       coalesce(sum(e.points) filter (where e.counter = 'expired'), 0)::bigint as expired,
       coalesce(sum(e.points) filter (where e.counter = 'adjusted'), 0)::bigint as adjusted,
       coalesce(sum(e.points) filter (where e.counter = 'merged'), 0)::bigint as merged
from entry e
where e.shard = $1::smallint and e.account = any ($2::bigint[])
    and (e.account, e.posting) in (select * from unnest($2::bigint[], $3::integer[]))
    and e.occurred_at <= $4::timestamptz
group by e.account
