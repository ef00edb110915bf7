-- The promises of DESIGN.md section 3 on some accounts, from rows alone; no row comes back when they hold. $1: member_ids.
with a as (
    select a.* from loyalty.account a join loyalty.member m using (account) where m.member_id = any ($1::text[])
), e as (
    select e.*, lag(e.balance_after, 1, 0::bigint) over w as before, row_number() over w as place
    from loyalty.entry e join a using (shard, account) window w as (partition by e.shard, e.account order by e.seq)
), e_sums as (
    select shard, account, count(*) as n, sum(points) as points,
           bool_and(balance_after = before + points and place = e.seq) as chained
    from e group by 1, 2
), u as (
    select u.* from loyalty.lot_use u join a using (shard, account)
), l as (
    select l.*, coalesce(s.points, 0) as used, coalesce(s.expired, 0) as times_expired
    from loyalty.lot l join a using (shard, account)
    left join (select shard, account, lot, sum(points) as points, count(*) filter (where purpose = 'expire') as expired
               from u group by 1, 2, 3) s using (shard, account, lot)
), p as (
    select p.*, lag(p.recorded_at) over w as earlier, row_number() over w as place
    from loyalty.posting p join a using (shard, account) window w as (partition by p.shard, p.account order by p.number)
)
select account, 'balance is not the sum of entries, or they are not numbered and chained' as message
from a left join e_sums s using (shard, account)
where a.balance <> coalesce(s.points, 0) or a.seq <> coalesce(s.n, 0) or not coalesce(s.chained, true)
union all
select account, 'balance is not what lots and holds hold less debt'
from a
left join (select shard, account, sum(points - used) as points from l group by 1, 2) f using (shard, account)
left join (select h.shard, h.account, sum(h.points) as points from loyalty.open_hold h join a using (shard, account)
           group by 1, 2) h using (shard, account)
where a.balance <> coalesce(f.points, 0) + coalesce(h.points, 0) - a.debt or a.held <> coalesce(h.points, 0)
union all
select account, format('lot %s of %s points: %s used, expired %s times', lot, points, used, times_expired)
from l where used > points or times_expired > 1
union all
select l.account, format('lot %s stands open with other points than are left', l.lot)
from l left join loyalty.open_lot o using (shard, account, lot)
where coalesce(o.remaining, 0) <> l.points - l.used
union all
select u.account, format('lot %s used for %s before it was spendable or after it expired', u.lot, u.purpose)
from u join l using (shard, account, lot)
where u.purpose in ('redeem', 'hold', 'adjust')
    and (u.recorded_at < l.spendable_from or u.recorded_at >= l.expires_at)
union all
select account, format('posting %s is out of its number or its time', number)
from p where place <> number or recorded_at < earlier
union all
select account, format('hold %s ended %s times', subject, count(*))
from p where kind in ('capture', 'release', 'timeout') group by account, subject having count(*) > 1
