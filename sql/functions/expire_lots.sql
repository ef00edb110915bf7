-- Expires dated lots on accounts of one shard on which nothing else is due, up to p_through: for each account and instant
-- the posting with its entry and its uses, as any write to the account would post them first, and the head after it. It
-- decides by itself what has ended, so nobody can make it take points that live. With p_dry_run it only counts.
-- accounts, points: how many accounts lost points, and how many points. others: the accounts that need more than this (a
-- hold, idle points, a verdict that is due); nothing was done to them.

-- The hash of a posting that follows p_last, or the account's p_hash if it is the first here (loyalty/ledger/chain.py).
create or replace function link_posting(p_last bytea, p_hash bytea, p_text text) returns bytea language plpgsql immutable
    parallel safe as $$
begin
    return sha256(convert_to('1|' || encode(coalesce(p_last, p_hash), 'hex') || p_text, 'UTF8'));
end $$;
create or replace aggregate link_postings(bytea, text) (sfunc = link_posting, stype = bytea);

drop function if exists expire_lots(smallint, bigint[], timestamptz, boolean);
create or replace function expire_lots(
    p_shard smallint, p_accounts bigint[], p_through timestamptz, p_dry_run boolean,
    out accounts bigint, out points bigint, out others bigint[]
) language plpgsql volatile security definer
    set search_path = loyalty, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_plain bigint[];
    v_next_due timestamptz[];
    v_from timestamptz[];
    v_versions integer[];
    v_dead bigint;
    v_gone bigint;
begin
    perform 1 from account a where a.shard = p_shard and a.account = any (p_accounts)
        order by a.account for no key update;

    v_now := ledger_now();
    if p_through > v_now then
        raise exception 'points expire when they end, not before' using errcode = 'LY001';
    end if;

    select array_agg(a.account) filter (where o.plain), array_agg(o.next_due) filter (where o.plain),
           array_agg(a.account) filter (where not o.plain)
    into v_plain, v_next_due, others
    from account a
    cross join lateral (
        select a.held = 0 and coalesce(a.tier_verdict_at > p_through, true) and not coalesce(bool_or(o.idle), false) as plain,
               least(a.tier_verdict_at, min(o.expires_at) filter (where o.expires_at > p_through)) as next_due
        from open_lot o where o.shard = p_shard and o.account = a.account
    ) o
    where a.shard = p_shard and a.account = any (p_accounts) and a.due_at <= p_through;

    if p_dry_run then
        select count(distinct o.account), coalesce(sum(o.remaining), 0) into accounts, points
        from open_lot o where o.shard = p_shard and o.account = any (v_plain) and o.expires_at <= p_through;
        return;
    end if;

    -- In force is the version that took effect last; of two at once, the later.
    select array_agg(v.effective_from order by v.effective_from, v.version),
           array_agg(v.version order by v.effective_from, v.version)
    into v_from, v_versions from program_version v;

    with dead as materialized (
        -- place: in which of the account's postings here a lot dies, ordinal: as which of its lots.
        select a.account, a.number, a.seq, a.balance, a.hash, greatest(v_now, a.recorded_at) as recorded_at, h.next_due,
               o.lot, o.remaining, o.expires_at,
               dense_rank() over (partition by a.account order by o.expires_at) as place,
               row_number() over (partition by a.account, o.expires_at order by o.lot) as ordinal,
               (extract(epoch from o.expires_at) * 1000000)::bigint || '|'
                   || (extract(epoch from greatest(v_now, a.recorded_at)) * 1000000)::bigint as instants
        from unnest(v_plain, v_next_due) h (account, next_due)
        join account a on a.shard = p_shard and a.account = h.account
        join open_lot o on o.shard = p_shard and o.account = h.account and o.expires_at <= p_through
    ), summed as (
        select d.account, d.place, d.number + d.place as number, d.seq + d.place as seq, d.balance, d.hash, d.next_due,
               d.expires_at as at, d.recorded_at, d.instants, sum(d.remaining)::bigint as points,
               v_versions[greatest(width_bucket(d.expires_at, v_from), 1)] as version,
               string_agg(E'\nu|' || d.ordinal || '|' || d.lot || '|expire|' || d.remaining || '|' || d.instants, ''
                          order by d.ordinal) as uses
        from dead d
        group by d.account, d.place, d.number, d.seq, d.balance, d.hash, d.next_due, d.expires_at, d.recorded_at, d.instants
    ), balanced as (
        select s.*, s.balance - sum(s.points) over w as balance_after, lead(s.place) over w is null as last
        from summed s window w as (partition by s.account order by s.place)
    ), linked as materialized (
        select b.*, link_postings(b.hash,
                '|' || b.account || '|' || b.number || '|expiry|||' || b.instants || '|' || b.version || E'||0|||\ne|' || b.seq
                || '|expire|' || -b.points || '|' || b.balance_after || '|' || b.instants || b.uses) over w as link
        from balanced b window w as (partition by b.account order by b.place)
    ), posted as (
        insert into posting (shard, account, number, kind, occurred_at, recorded_at, program_version, hash)
        select p_shard, l.account, l.number, 'expiry', l.at, l.recorded_at, l.version, l.link from linked l
    ), entered as (
        insert into entry (shard, account, seq, posting, kind, counter, points, balance_after, occurred_at, recorded_at)
        select p_shard, l.account, l.seq, l.number, 'expire', 'expired', -l.points, l.balance_after, l.at, l.recorded_at
        from linked l
    ), used as (
        insert into lot_use (shard, account, posting, ordinal, lot, purpose, points, occurred_at, recorded_at)
        select p_shard, d.account, d.number + d.place, d.ordinal, d.lot, 'expire', d.remaining, d.expires_at, d.recorded_at
        from dead d
    ), gone as (
        delete from open_lot o using dead d where o.shard = p_shard and o.account = d.account and o.lot = d.lot
        returning 1
    ), headed as (
        update account a set number = l.number, seq = l.seq, balance = l.balance_after, hash = l.link,
            recorded_at = l.recorded_at, due_at = l.next_due
        from linked l where a.shard = p_shard and a.account = l.account and l.last
        returning 1
    )
    select (select count(*) from headed), coalesce(sum(d.remaining), 0), count(*), (select count(*) from gone)
    into accounts, points, v_dead, v_gone from dead d;
    if v_gone <> v_dead then
        raise exception 'a lot that is used up was used again' using errcode = 'LY001';
    end if;

    if accounts < cardinality(v_plain) then
        -- The bound of some was early: nothing had ended.
        update account a set due_at = h.next_due from unnest(v_plain, v_next_due) h (account, next_due)
        where a.shard = p_shard and a.account = h.account and a.due_at <= p_through;
    end if;
end $$;
revoke all on function expire_lots(smallint, bigint[], timestamptz, boolean) from public;
grant execute on function expire_lots(smallint, bigint[], timestamptz, boolean) to loyalty_app;
