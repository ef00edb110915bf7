-- Changes of tiers of a range of accounts that had happened at an instant, as far as they were known, in the order of
-- recording. What is known is as in past_postings.sql. $1 shard, $2 first and $3 last account, $4 as of, $5 known at.
select t.account, t.posting, t.ordinal, t.at, t.tier, t.previous, t.reason, t.since, t.valid_until, t.verdict_at, t.ground_at,
       t.recorded_at
from tier_change t
join posting p on p.shard = t.shard and p.account = t.account and p.number = t.posting
where t.shard = $1::smallint and t.account between $2::bigint and $3::bigint and t.at <= $4::timestamptz
    and p.occurred_at <= $4::timestamptz
    and case when p.kind in ('expiry', 'timeout', 'verdict')
        then greatest(p.occurred_at, (
            select max(b.recorded_at) from posting b
            where b.shard = p.shard and b.account = p.account and b.number <= p.number
                and b.kind not in ('expiry', 'timeout', 'verdict')))
        else p.recorded_at end <= $5::timestamptz
order by t.account, t.posting, t.ordinal
