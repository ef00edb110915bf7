-- What moved on a range of accounts, by kind, stretch of time and the tier of then. $1 shard, $2 first, $3 last account,
-- $4 instants in order, at each of which another stretch begins; stretch 0 lies before them all.
with stood as (
    select t.account, t.tier, t.posting as after,
           lead(t.posting) over (partition by t.account order by t.posting, t.ordinal) as up_to
    from tier_change t
    where t.shard = $1::smallint and t.account between $2::bigint and $3::bigint
)
select e.account, e.kind::text, width_bucket(e.occurred_at, $4::timestamptz[]) as stretch, s.tier,
       sum(e.points)::bigint as points
from entry e
left join stood s on s.account = e.account and e.posting > s.after and (s.up_to is null or e.posting <= s.up_to)
where e.shard = $1::smallint and e.account between $2::bigint and $3::bigint
group by 1, 2, 3, 4
