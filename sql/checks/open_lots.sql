-- Open lots are the lots less what was used of them, and add up to balance + debt - held.
with lots as (
    select l.shard, l.account, l.lot, l.points - coalesce(u.points, 0) as remaining
    from loyalty.lot l
    left join (select shard, account, lot, sum(points) as points from loyalty.lot_use group by 1, 2, 3) u
        using (shard, account, lot)
)
select account, 'open_lot' as "table", format('lot=%s', lot) as key,
       format('%s points stand open, %s are left', coalesce(o.remaining, 0), coalesce(l.remaining, 0)) as message
from (select * from lots where remaining <> 0) l
full join loyalty.open_lot o using (shard, account, lot)
where o.remaining is distinct from l.remaining
union all
select a.account, 'account', '',
       format('balance %s, held %s, debt %s, but %s points in open lots', a.balance, a.held, a.debt, coalesce(o.points, 0))
from loyalty.account a
left join (select shard, account, sum(remaining) as points from loyalty.open_lot group by 1, 2) o using (shard, account)
where a.balance + a.debt - a.held <> coalesce(o.points, 0)
