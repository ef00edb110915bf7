-- No budget says that more was used than its rule's purchases and events were charged, nor less than nothing.
with charged as (
    select c.key as rule, sum((c.value ->> 1)::bigint) as points
    from loyalty.full_posting p
    cross join lateral jsonb_each(p.facts::jsonb -> 'charges') c
    where p.kind in ('purchase', 'event') and p.facts like '%"charges":%'
    group by 1
)
select null::bigint as account, 'budget' as "table", b.rule as key,
       format('%s points used; purchases and events were charged %s', sum(b.points), coalesce(max(c.points), 0)) as message
from loyalty.budget b
left join charged c on c.rule = b.rule
group by b.rule
having sum(b.points) > coalesce(max(c.points), 0) or sum(b.points) < 0
