-- What claims say is what was taken, given out and ended; and stocks are what came in, less what claims took, plus what
-- their cancellations gave back.
with claims as (
    select p.shard, p.account, p.number, p.id, p.recorded_at, p.facts::jsonb as facts
    from loyalty.full_posting p where p.kind = 'claim'
), cancelled as (
    select p.shard, p.account, p.number, p.subject, p.recorded_at from loyalty.posting p where p.kind = 'cancellation'
)
select coalesce(c.account, v.account) as account, 'voucher' as "table",
       format('claim_id=%s', coalesce(c.id, v.claim_id)) as key, 'is not what its claim says' as message
from claims c
full join loyalty.voucher v on v.claim_id = c.id
where (v.account, v.posting, v.code, v.reward_id, v.version, v.counted, v.valid_until, v.recorded_at)
    is distinct from (c.account, c.number, c.facts ->> 'code', c.facts ->> 'reward_id', (c.facts ->> 'version')::integer,
                      coalesce((c.facts ->> 'counted')::boolean, false), (c.facts ->> 'valid_until')::timestamptz,
                      c.recorded_at)
union all
select v.account, 'voucher', format('claim_id=%s', v.claim_id),
       format('is of reward %s, version %s, which is not there', v.reward_id, v.version)
from loyalty.voucher v
where not exists (select from loyalty.reward_version r where r.reward_id = v.reward_id and r.version = v.version)
union all
select c.account, 'posting', format('number=%s', c.number),
       format('claims a reward of %s points, its entries say %s', c.facts ->> 'points', coalesce(e.points, 0))
from claims c
left join lateral (
    select -sum(e.points) as points from loyalty.entry e
    where e.shard = c.shard and e.account = c.account and e.posting = c.number and e.kind = 'redeem'
) e on true
where (c.facts ->> 'points')::bigint is distinct from e.points
union all
select x.account, 'posting', format('number=%s', x.number),
       format('gives back %s points of a claim of %s', coalesce(e.points, 0), coalesce(c.facts ->> 'points', 'none'))
from cancelled x
left join claims c on c.id = x.subject
left join lateral (
    select sum(e.points) as points from loyalty.entry e
    where e.shard = x.shard and e.account = x.account and e.posting = x.number and e.kind = 'restore'
) e on true
where (c.facts ->> 'points')::bigint is distinct from e.points
union all
select coalesce(x.account, v.account), 'voucher_end', format('claim_id=%s', coalesce(x.subject, v.claim_id)),
       case when x.subject is null then 'ended without a cancellation' else 'its claim was cancelled' end
from (
    select v.claim_id, v.account, e.recorded_at from loyalty.voucher_end e
    left join loyalty.voucher v on v.code = e.code where e.ending = 'cancelled'
) v
full join cancelled x on x.subject = v.claim_id
where v.recorded_at is distinct from x.recorded_at
union all
select null, 'voucher_end', format('use_id=%s', e.use_id), 'uses a voucher that was not there, or no longer valid'
from loyalty.voucher_end e
left join loyalty.voucher v on v.code = e.code
where e.ending = 'used'
    and (v.code is null or v.recorded_at > e.recorded_at or v.valid_until <= e.recorded_at)
union all
select null, 'reward_stock', format('reward_id=%s', reward_id),
       format('%s units stand in stock, %s came in and %s are out', coalesce(s.units, 0), coalesce(m.units, 0),
              coalesce(o.units, 0))
from loyalty.reward_stock s
full join (select reward_id, sum(units) as units from loyalty.stock_move group by 1) m using (reward_id)
full join (
    select v.reward_id, count(*) as units from loyalty.voucher v
    left join loyalty.voucher_end e on e.code = v.code and e.ending = 'cancelled'
    where v.counted and e.code is null group by 1
) o using (reward_id)
where coalesce(s.units, 0) <> coalesce(m.units, 0) - coalesce(o.units, 0)
