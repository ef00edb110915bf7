-- Accounts whose tier verdict is due up to $2, with where they stand, soonest first, after ($3, $4: instant and account),
-- at most $5. $1 shard.
select a.account, a.status::text, m.member_id, a.tier, a.tier_since, a.tier_valid_until, a.tier_verdict_at,
       a.tier_ground_at, a.tier_judged_at
from account a
left join member m on m.account = a.account
where a.shard = $1::smallint and a.tier_verdict_at <= $2::timestamptz
    and (a.tier_verdict_at, a.account) > ($3::timestamptz, $4::bigint)
order by a.tier_verdict_at, a.account limit $5::integer
