-- Points neither come from nowhere nor vanish: the program accounts (issued, redeemed, expired, adjusted) are the members'
-- balances with the sign turned, each kind of entry stands against its own, and what merges moved adds up to nothing.
select null::bigint as account, 'entry' as "table", '' as key,
       format('entries add up to %s points, balances to %s', e.points, a.balance) as message
from (select coalesce(sum(points), 0) as points from loyalty.entry) e,
     (select coalesce(sum(balance), 0) as balance from loyalty.account) a
where e.points <> a.balance
union all
select null, 'entry', 'kind=merge', format('merges moved %s points out of nothing', sum(points))
from loyalty.entry where kind = 'merge' having sum(points) <> 0
union all
select null, 'entry', format('kind=%s', kind), format('%s entries of %s points stand against %s', count(*), sum(points), counter)
from loyalty.entry
where counter <> (case kind when 'earn' then 'issued' when 'clawback' then 'issued' when 'redeem' then 'redeemed'
        when 'restore' then 'redeemed' when 'expire' then 'expired' when 'adjust' then 'adjusted'
        else 'merged' end)::loyalty.program_account
group by kind, counter
