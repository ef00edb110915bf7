-- What members had of limited rules is what their purchases and events were charged, less what came back; and days add up to ever.
with charged as (
    select p.account, p.kind, p.id, p.facts::jsonb -> 'charges' as charges
    from loyalty.full_posting p
    where p.kind in ('purchase', 'event') and p.facts like '%"charges":%'
), kept as (
    select coalesce(a.merged_into, a.account) as account,
           case when r.facts is null then c.charges else r.facts::jsonb -> 'kept_charges' end as charges
    from charged c
    join loyalty.account a on a.account = c.account
    left join lateral (
        select r.facts from loyalty.full_posting r
        where r.kind = 'return' and r.subject = c.id and c.kind = 'purchase' order by r.recorded_at desc, r.number desc limit 1
    ) r on true
), should as (
    select k.account, c.key as rule, sum((c.value ->> 0)::bigint) as times, sum((c.value ->> 1)::bigint) as points
    from kept k
    cross join lateral jsonb_each(coalesce(k.charges, '{}')) c
    group by 1, 2
), is_so as (
    select c.account, c.rule,
           coalesce(sum(c.times) filter (where not isfinite(c.day)), 0) as times,
           coalesce(sum(c.points) filter (where not isfinite(c.day)), 0) as points,
           coalesce(sum(c.times) filter (where isfinite(c.day)), 0) as times_by_day
    from loyalty.counter c
    join loyalty.account a on a.shard = c.shard and a.account = c.account
    where a.merged_into is null
    group by 1, 2
)
select coalesce(i.account, s.account) as account, 'counter' as "table", coalesce(i.rule, s.rule) as key,
       format('times %s, points %s, times by day %s; purchases and events say times %s, points %s',
              coalesce(i.times, 0), coalesce(i.points, 0), coalesce(i.times_by_day, 0), coalesce(s.times, 0),
              coalesce(s.points, 0)) as message
from is_so i
full join should s on s.account = i.account and s.rule = i.rule
where coalesce(i.times, 0) <> coalesce(s.times, 0) or coalesce(i.points, 0) <> coalesce(s.points, 0)
    or coalesce(i.times_by_day, 0) <> coalesce(s.times, 0)
