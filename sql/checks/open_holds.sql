-- Open holds are the redemptions that used lots to hold them, or came so with a merge, and have no capture, release or
-- time-out. What a merged account held went over.
with held as (
    select u.shard, u.account, u.posting, sum(u.points) as points
    from loyalty.lot_use u where u.purpose in ('hold', 'merge') group by 1, 2, 3
), open as (
    select h.shard, h.account, h.posting, h.points, coalesce(p.id, p.subject) as id
    from held h
    join loyalty.full_posting p on p.shard = h.shard and p.account = h.account and p.number = h.posting
    where p.facts is not null
        and not exists (
            select from loyalty.posting x
            where x.shard = p.shard and x.account = p.account and x.subject = coalesce(p.id, p.subject)
                and x.kind in ('capture', 'release', 'timeout')
        )
        and not exists (
            select from loyalty.account a where a.shard = p.shard and a.account = p.account and a.status = 'merged'
        )
)
select account, 'open_hold' as "table", format('redemption_id=%s', coalesce(h.redemption_id, open.id)) as key,
       format('%s points stand held, %s are', coalesce(h.points, 0), coalesce(open.points, 0)) as message
from open
full join loyalty.open_hold h using (shard, account, posting)
where h.points is distinct from open.points or h.redemption_id is distinct from open.id
