-- What a range of accounts had at an instant, as far as it was known, one row an account: sums of entries by program
-- account, what is left of lots by expiry, of idle ones together, and whether that is all there is to know of it (`plain`:
-- no hold was open, no merge moved anything, nothing left had expired). What is known is as in past_postings.sql. Ranges
-- are read along the keys and joined by hashes: looking up row by row takes three times as long.
create or replace function past_accounts(
    p_shard smallint, p_first bigint, p_last bigint, p_as_of timestamptz, p_known_at timestamptz
) returns table (
    account bigint, issued bigint, redeemed bigint, expired bigint, adjusted bigint, active_at timestamptz,
    ends timestamptz[], points bigint[], idle bigint, plain boolean
) language sql stable set search_path = loyalty, pg_temp
    set enable_nestloop = off set enable_seqscan = off set work_mem = '64MB' as $$
with known as materialized (
    select account, number, kind
    from (
        select account, number, kind, occurred_at,
               case when kind in ('expiry', 'timeout', 'verdict')
                   then greatest(occurred_at, max(recorded_at) filter (where kind not in ('expiry', 'timeout', 'verdict'))
                                                  over (partition by account order by number))
                   else recorded_at end as known_at
        from posting
        where shard = p_shard and account between p_first and p_last
    ) p
    where occurred_at <= p_as_of and known_at <= p_known_at
), posted as (
    select account, count(*) filter (where kind in ('capture', 'release', 'timeout')) as ended,
           bool_or(kind = 'merge') as merged
    from known group by account
), entered as (
    select e.account, max(e.occurred_at) filter (where e.kind in ('earn', 'redeem')) as active_at,
           sum(e.points) filter (where e.counter = 'issued') as issued,
           sum(e.points) filter (where e.counter = 'redeemed') as redeemed,
           sum(e.points) filter (where e.counter = 'expired') as expired,
           sum(e.points) filter (where e.counter = 'adjusted') as adjusted
    from entry e
    join known k on k.account = e.account and k.number = e.posting
    where e.shard = p_shard and e.account between p_first and p_last and e.occurred_at <= p_as_of
    group by e.account
), uses as materialized (
    select u.account, u.posting, u.lot, u.purpose, u.points, u.occurred_at
    from lot_use u
    join known k on k.account = u.account and k.number = u.posting
    where u.shard = p_shard and u.account between p_first and p_last and u.occurred_at <= p_as_of
), used as (
    select account, lot, sum(points) as points from uses group by account, lot
), taken as (
    select account, count(distinct posting) as holds, max(occurred_at) as held_at
    from uses where purpose = 'hold' group by account
), there as (
    select l.account, l.expires_at, sum(l.points - coalesce(u.points, 0)) filter (where not l.idle) as points,
           sum(l.points - coalesce(u.points, 0)) filter (where l.idle) as idle
    from lot l
    join known k on k.account = l.account and k.number = l.posting
    left join used u on u.account = l.account and u.lot = l.lot
    where l.shard = p_shard and l.account between p_first and p_last and l.points > coalesce(u.points, 0)
    group by l.account, l.expires_at
), left_over as (
    select account, array_agg(expires_at) filter (where points > 0) as ends,
           array_agg(points::bigint) filter (where points > 0) as points, coalesce(sum(idle), 0)::bigint as idle,
           coalesce(bool_or(expires_at <= p_as_of), false) as expired
    from there group by account
)
select p.account, coalesce(e.issued, 0)::bigint as issued, coalesce(e.redeemed, 0)::bigint as redeemed,
       coalesce(e.expired, 0)::bigint as expired, coalesce(e.adjusted, 0)::bigint as adjusted,
       greatest(e.active_at, t.held_at) as active_at, coalesce(l.ends, '{}') as ends, coalesce(l.points, '{}') as points,
       coalesce(l.idle, 0) as idle,
       not p.merged and p.ended = coalesce(t.holds, 0) and not coalesce(l.expired, false)
from posted p
left join entered e on e.account = p.account
left join taken t on t.account = p.account
left join left_over l on l.account = p.account
$$;
revoke all on function past_accounts(smallint, bigint, bigint, timestamptz, timestamptz) from public;
grant execute on function past_accounts(smallint, bigint, bigint, timestamptz, timestamptz) to loyalty_app;
