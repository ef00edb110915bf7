-- What moved on a range of accounts and was not earned, by kind, stretch of time and tier. $1 shard, $2 first, $3 last
-- account, $4 instants in order, at each of which another stretch begins; stretch 0 lies before them all. What was
-- clawed back counts for the tier that judged it, all else for the tier of then. All is looked up by keys, so that a
-- database without statistics does no worse.
select e.account, e.kind::text, width_bucket(e.occurred_at, $4::timestamptz[]) as stretch,
       coalesce(late.tier, back.tier, stood.tier) as tier, sum(e.points)::bigint as points
from entry e
left join lateral (
    select t.tier, t.since from tier_change t
    where t.shard = e.shard and t.account = e.account and t.posting < e.posting
    order by t.posting desc, t.ordinal desc limit 1
) stood on true
left join lateral (
    select p.facts::json #>> '{judged,tier}' as tier from full_posting p
    where e.kind = 'clawback' and e.occurred_at < stood.since
      and p.shard = e.shard and p.account = e.account and p.number = e.posting
    limit 1
) late on true
left join lateral (
    select b.facts::json #>> '{judged,tier}' as tier from full_posting p
    cross join lateral family(p.shard, array[p.account]) f
    cross join lateral (
        select * from full_posting b where b.shard = f.shard and b.kind = 'purchase' and b.id = p.subject offset 0
    ) b
    where e.kind = 'clawback' and p.shard = e.shard and p.account = e.account and p.number = e.posting
      and b.account = f.account
    limit 1
) back on true
where e.shard = $1::smallint and e.account between $2::bigint and $3::bigint and e.kind <> 'earn'
group by 1, 2, 3, 4
