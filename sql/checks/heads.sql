-- Each account's head says what its rows add up to.
select a.account, 'account' as "table", '' as key,
       format('head has number %s, seq %s, lots %s, balance %s; the rows have %s, %s, %s, %s', a.number, a.seq, a.lots,
              a.balance, coalesce(p.n, 0), coalesce(e.n, 0), coalesce(l.n, 0), coalesce(e.points, 0)) as message
from loyalty.account a
left join (select shard, account, count(*) as n from loyalty.posting group by 1, 2) p using (shard, account)
left join (select shard, account, count(*) as n, sum(points) as points from loyalty.entry group by 1, 2) e
    using (shard, account)
left join (select shard, account, count(*) as n from loyalty.lot group by 1, 2) l using (shard, account)
where (a.number, a.seq, a.lots, a.balance)
    is distinct from (coalesce(p.n, 0), coalesce(e.n, 0), coalesce(l.n, 0), coalesce(e.points, 0))
