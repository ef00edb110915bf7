-- Balances by members' names (schemes and values as `identifier` keeps them, each joined by spaces), with what expired
-- counted as posted. One shard a call. For each name a line, in their order: the whole answer as JSON, empty where the name
-- means nobody in the shard, or else a lane: 'judge' where Python must say what is due (an ended hold, a verdict, idle
-- points among dated ones or before any activity), 'many' where open lots are more than p_many. Where points live as long
-- as the account is active, 'idle,', how many they are and since when (in microseconds) stand before the answer, in which
-- they end never. p_soon: how far ahead `expiring` looks. p_points are worth p_amount; p_lowest is the tier of whoever has
-- none: they hold under one version of the program, which now_us and program_version tell from others. Instants of the lists
-- have a space for their T, and short fractions.
drop function if exists read_balances(smallint, text, text, interval, integer);
create or replace function read_balances(
    p_shard smallint, p_schemes text, p_values text, p_soon interval, p_many integer,
    p_points bigint, p_amount bigint, p_lowest text,
    out now_us bigint, out program_version integer, out lines bytea
) language plpgsql stable
    set search_path = loyalty, pg_temp set enable_seqscan = off set timezone = 'UTC' as $$
#variable_conflict use_column
declare
    v_now timestamptz := ledger_now();
    v_as_of text := '","as_of":"' || replace(to_char(v_now, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') || 'Z","balance":';
begin
    now_us := extract(epoch from v_now) * 1000000;
    program_version := (select max(v.version) from program_version v);
    lines := (
        select convert_to(string_agg(case
            when m.account is null then ''
            when f.judge or (l.idle > 0 and (l.dated or a.active_at is null)) then 'judge'
            when f.many then 'many'
            else concat(
                case when l.idle > 0 then 'idle,' || l.idle || ',' || (extract(epoch from a.active_at) * 1000000)::bigint || ',' end,
                '{"member_id":"', m.member_id, v_as_of, n.balance, ',"available":', n.available, ',"held":', a.held,
                ',"pending":', n.pending, ',"debt":', a.debt,
                ',"amount":', case when n.available > 0 then div(n.available::numeric * p_amount, p_points) else 0 end,
                ',"lots":[', l.texts, '],"expiring":[', l.soon, '],"holds":[', h.texts,
                '],"tier":"', coalesce(a.tier, p_lowest), '"}')
            end, E'\n' order by q.place), 'UTF8')
        from unnest(string_to_array(p_schemes, ' '), string_to_array(p_values, ' '))
            with ordinality as q (scheme, value, place)
        left join identifier i on i.scheme = q.scheme and i.value = q.value and i.shard = p_shard
        left join account a on a.shard = p_shard and a.account = i.account
        left join member m on m.account = a.account
        cross join lateral (
            select a.recorded_at > v_now or coalesce(a.tier_verdict_at <= v_now, false)
                    or (a.held > 0 and coalesce(a.due_at <= v_now, false)) as judge,
                case when a.lots > p_many then (
                    select count(*) > p_many from (
                        select from open_lot o where o.shard = p_shard and o.account = a.account limit p_many + 1) few
                ) else false end as many
        ) f
        left join lateral (
            with o as materialized (
                select o.expires_at, o.spendable_from, o.origin, sum(o.remaining)::bigint as points, bool_or(o.idle) as idle
                from open_lot o where o.shard = p_shard and o.account = a.account
                group by 1, 2, 3 order by 1, 2, 3
            )
            select sum(o.points) filter (where o.idle)::bigint as idle, bool_or(not o.idle) as dated,
                sum(o.points) filter (where o.expires_at <= v_now)::bigint as expired,
                sum(o.points) filter (where o.spendable_from > v_now)::bigint as pending,
                string_agg('{"points":' || o.points || ',"spendable_from":"' || o.spendable_from::timestamp
                           || coalesce('Z","expires_at":"' || o.expires_at::timestamp || 'Z"}', 'Z","expires_at":null}'), ','
                           order by o.expires_at, o.spendable_from, o.origin)
                    filter (where o.expires_at > v_now or o.expires_at is null) as texts,
                case when a.due_at <= v_now + p_soon then (
                    select string_agg('{"points":' || s.points || ',"expires_at":"' || s.expires_at::timestamp || 'Z"}', ','
                                      order by s.expires_at)
                    from (
                        select o.expires_at, sum(o.points)::bigint as points
                        from o where o.expires_at > v_now and o.expires_at <= v_now + p_soon group by 1
                    ) s
                ) end as soon
            from o
        ) l on not f.judge and not f.many
        left join lateral (
            select string_agg('{"redemption_id":"' || h.redemption_id || '","points":' || h.points || ',"until":"'
                              || h.until::timestamp || 'Z"}', ',' order by h.until, h.redemption_id collate "C") as texts
            from open_hold h where h.shard = p_shard and h.account = a.account
        ) h on a.held > 0 and not f.judge and not f.many
        cross join lateral (
            select a.balance - coalesce(l.expired, 0) as balance, coalesce(l.pending, 0) as pending,
                a.balance - coalesce(l.expired, 0) + a.debt - a.held - coalesce(l.pending, 0) as available
        ) n
    );
end $$;
