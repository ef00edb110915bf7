-- Balances by members' names (schemes and values as `identifier` keeps them, each joined by spaces), their lists as JSON,
-- with what expired counted as posted. One shard a call; names that mean nobody in it are absent. p_soon: how far ahead
-- `expiring` looks. Instants in the lists are as Postgres writes them in UTC. idle: points that live as long as the account
-- is active; their lots say null, Python knows better. Some accounts get no lists but a lane: 'judge' where Python must say
-- what is due (an ended hold, a verdict, idle points among dated ones or before any activity), 'many' where open lots are
-- more than p_many.
create or replace function read_balances(p_shard smallint, p_schemes text, p_values text, p_soon interval, p_many integer)
returns table (
    place bigint, lane text, now_us bigint, program_version integer,
    member_id text, tier text, balance bigint, held bigint, pending bigint, debt bigint, lists text,
    idle bigint, active_at timestamptz
) language plpgsql stable set search_path = loyalty, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := ledger_now();
    v_now_us bigint := extract(epoch from v_now) * 1000000;
    v_version integer := (select max(v.version) from program_version v);
begin
    return query
    select q.place, case when f.judge or (l.idle > 0 and (l.dated or a.active_at is null)) then 'judge' when f.many then 'many' end,
        v_now_us, v_version, m.member_id, a.tier,
        a.balance - coalesce(l.expired, 0), a.held, coalesce(l.pending, 0), a.debt,
        '"lots":[' || coalesce(l.texts, '') || '],"expiring":[' || coalesce(soon.texts, '')
            || '],"holds":[' || coalesce(h.texts, '') || ']',
        l.idle, case when l.idle > 0 then a.active_at end
    from unnest(string_to_array(p_schemes, ' '), string_to_array(p_values, ' ')) with ordinality as q (scheme, value, place)
    join identifier i on i.scheme = q.scheme and i.value = q.value and i.shard = p_shard
    join account a on a.shard = p_shard and a.account = i.account
    join member m on m.account = a.account
    cross join lateral (
        select a.recorded_at > v_now or coalesce(a.tier_verdict_at <= v_now, false)
                or (a.held > 0 and coalesce(a.due_at <= v_now, false)) as judge,
            case when a.lots > p_many then (
                select count(*) > p_many from (
                    select from open_lot o where o.shard = p_shard and o.account = a.account limit p_many + 1) few
            ) else false end as many
    ) f
    left join lateral (
        select sum(o.points) filter (where o.idle)::bigint as idle, bool_or(not o.idle) as dated,
            sum(o.points) filter (where o.expires_at <= v_now)::bigint as expired,
            sum(o.points) filter (where o.spendable_from > v_now)::bigint as pending,
            string_agg('{"points":' || o.points || ',"spendable_from":"' || o.spendable_from || '","expires_at":'
                       || coalesce('"' || o.expires_at || '"', 'null') || '}', ','
                       order by o.expires_at, o.spendable_from, o.origin)
                filter (where o.expires_at > v_now or o.expires_at is null) as texts
        from (
            select o.expires_at, o.spendable_from, o.origin, sum(o.remaining) as points, bool_or(o.idle) as idle
            from open_lot o where o.shard = p_shard and o.account = a.account
            group by 1, 2, 3 order by 1, 2, 3
        ) o
    ) l on not f.judge and not f.many
    left join lateral (
        select string_agg('{"points":' || o.points || ',"expires_at":"' || o.expires_at || '"}', ','
                          order by o.expires_at) as texts
        from (
            select o.expires_at, sum(o.remaining) as points
            from open_lot o
            where o.shard = p_shard and o.account = a.account and o.expires_at > v_now and o.expires_at <= v_now + p_soon
            group by 1 order by 1
        ) o
    ) soon on not f.judge and not f.many and a.due_at <= v_now + p_soon
    left join lateral (
        select string_agg('{"redemption_id":"' || h.redemption_id || '","points":' || h.points || ',"until":"'
                          || h.until || '"}', ',' order by h.until, h.redemption_id collate "C") as texts
        from open_hold h where h.shard = p_shard and h.account = a.account
    ) h on a.held > 0 and not f.judge and not f.many;
end $$;
