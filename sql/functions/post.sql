-- The only writer of the ledger. Takes what was decided about locked accounts of one shard, checks that it creates and
-- loses no point, and writes it. SQLSTATE LY001: the decision contradicts the books (a defect, nothing is written);
-- LY003: a budget no longer holds what was decided (decide again).
create or replace function post(
    p_shard smallint, p_heads head_row[], p_postings posting_row[], p_entries entry_row[], p_lots lot_row[],
    p_uses use_row[], p_tiers tier_row[], p_opened hold_row[], p_ended ended_hold[],
    p_counters counter_row[], p_budgets budget_row[]
) returns void language plpgsql volatile security definer
    set search_path = loyalty, pg_temp set enable_seqscan = off as $$
declare
    v_wrong record;
    v_count bigint;
    v_accounts bigint[] := array(select h.account from unnest(p_heads) h);
begin
    -- Accounts are named by v_accounts too, so that the plan goes by the whole key while there are no statistics yet.
    -- What moved must be what the heads say: postings numbered on without a gap, every row belonging to one of them, and
    -- change of balance = entries = lots granted - lots used + change of held - change of debt, where debt comes from
    -- clawbacks that found too little and goes with what comes in (a merge moves it, an erasure drops it).
    select coalesce(h.account, m.account) as account, h.number, h.balance, h.seq, h.held, h.debt into v_wrong
    from unnest(p_heads) h
    full join (
        select r.account, sum(r.posting) as postings, min(r.number) as first, max(r.number) as last,
               sum(r.entry) as entries, sum(r.entered) as entered, sum(r.lot) as lots, sum(r.granted) as granted,
               sum(r.used) as used, sum(r.held) as held, sum(r.owed) as owed, bool_or(r.elsewhere) as elsewhere
        from (
            select p.account, p.number, 1 as posting, 0 as entry, 0::bigint as entered, 0 as lot, 0::bigint as granted,
                   0::bigint as used, 0::bigint as held, 0::bigint as owed, p.kind in ('merge', 'erasure') as elsewhere
            from unnest(p_postings) p
            union all
            select e.account, e.posting, 0, 1, e.points, 0, 0, 0, 0,
                   case when e.kind = 'clawback' then -e.points else 0 end, false
            from unnest(p_entries) e
            union all
            select l.account, l.posting, 0, 0, 0, 1, l.points, 0, 0, 0, false from unnest(p_lots) l
            union all
            select u.account, u.posting, 0, 0, 0, 0, 0, u.points, 0,
                   case when u.purpose in ('clawback', 'debt') then -u.points else 0 end, false
            from unnest(p_uses) u
            union all
            select t.account, t.posting, 0, 0, 0, 0, 0, 0, 0, 0, false from unnest(p_tiers) t
            union all
            select o.account, o.posting, 0, 0, 0, 0, 0, 0, o.points, 0, false from unnest(p_opened) o
            union all
            select x.account, null, 0, 0, 0, 0, 0, 0, -coalesce(oh.points, np.points), 0, false
            from unnest(p_ended) x
            left join open_hold oh
                on oh.shard = p_shard and oh.account = x.account and oh.redemption_id = x.redemption_id
            left join unnest(p_opened) np on np.account = x.account and np.redemption_id = x.redemption_id
        ) r
        group by r.account
    ) m on m.account = h.account
    left join account a on a.shard = p_shard and a.account = h.account and a.account = any (v_accounts)
    left join unnest(p_postings) last on last.account = h.account and last.number = h.number
    where a.account is null
        or a.number <> h.was_number
        or h.number <> a.number + coalesce(m.postings, 0)
        or m.first <= a.number
        or m.last > h.number
        or h.seq <> a.seq + coalesce(m.entries, 0)
        or h.lots <> a.lots + coalesce(m.lots, 0)
        or h.balance <> a.balance + coalesce(m.entered, 0)
        or h.held <> a.held + coalesce(m.held, 0)
        or h.balance - a.balance
            <> coalesce(m.granted, 0) - coalesce(m.used, 0) + (h.held - a.held) - (h.debt - a.debt)
        or (h.debt - a.debt <> coalesce(m.owed, 0) and not coalesce(m.elsewhere, false))
        or h.recorded_at < a.recorded_at
        or h.hash <> coalesce(last.hash, a.hash)
    limit 1;
    if found then
        raise exception 'what was decided about account % contradicts its books', v_wrong.account
            using errcode = 'LY001', detail = to_jsonb(v_wrong)::text;
    end if;

    -- Each entry must begin where the one before it ended, the first where the account stood: as the heads hold with the
    -- sum of the entries and their number, it is enough that the last one ends where its head stands.
    select e.account, e.seq into v_wrong
    from (select e.account, e.seq, e.points, e.balance_after,
                 lead(e.seq) over w as seq_after, lead(e.balance_after - e.points) over w as balance_then
          from unnest(p_entries) e window w as (partition by e.account order by e.seq)) e
    left join unnest(p_heads) h on h.account = e.account
    where e.seq is distinct from coalesce(e.seq_after - 1, h.seq)
        or e.balance_after is distinct from coalesce(e.balance_then, h.balance)
    limit 1;
    if found then
        raise exception 'entry % of account % does not lead to the one after it', v_wrong.seq, v_wrong.account
            using errcode = 'LY001';
    end if;

    insert into posting (shard, account, number, kind, id, subject, occurred_at, recorded_at, program_version,
                         qualifying_at, qualifying_amount, fingerprint, facts, answer, hash)
    select p_shard, p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
           p.qualifying_at, p.qualifying_amount, p.fingerprint, p.facts, p.answer, p.hash
    from unnest(p_postings) p order by p.kind, p.id, p.account, p.number;

    insert into entry (shard, account, seq, posting, kind, counter, points, balance_after, occurred_at, recorded_at)
    select p_shard, e.account, e.seq, e.posting, e.kind,
           (case e.kind when 'earn' then 'issued' when 'clawback' then 'issued' when 'redeem' then 'redeemed'
                when 'restore' then 'redeemed' when 'expire' then 'expired' when 'adjust' then 'adjusted'
                else 'merged' end)::program_account,
           e.points, e.balance_after, e.occurred_at, e.recorded_at
    from unnest(p_entries) e;

    if cardinality(p_lots) > 0 then
        insert into lot (shard, account, lot, posting, origin, points, earned_at, spendable_from, expires_at, idle,
                         purchase_id, occurred_at, recorded_at)
        select p_shard, l.account, l.lot, l.posting, l.origin, l.points, l.earned_at, l.spendable_from, l.expires_at,
               l.idle, l.purchase_id, l.occurred_at, l.recorded_at
        from unnest(p_lots) l;
        insert into open_lot (shard, account, lot, origin, remaining, earned_at, spendable_from, expires_at, idle, purchase_id)
        select p_shard, l.account, l.lot, l.origin, l.points, l.earned_at, l.spendable_from, l.expires_at, l.idle,
               l.purchase_id
        from unnest(p_lots) l;
    end if;

    if cardinality(p_uses) > 0 then
        -- Never after it expired, never before it is spendable; expired only when it has. (Idle lots: the account's rule.)
        select u.account, u.lot into v_wrong
        from unnest(p_uses) u
        join open_lot o on o.shard = p_shard and o.account = u.account and o.lot = u.lot and o.account = any (v_accounts)
        where (u.purpose in ('redeem', 'hold', 'adjust')
               and (o.expires_at <= u.recorded_at or o.spendable_from > u.recorded_at))
            or (u.purpose = 'expire' and not o.idle and (o.expires_at is null or o.expires_at > u.recorded_at))
        limit 1;
        if found then
            raise exception 'lot % of account % may not be used so now', v_wrong.lot, v_wrong.account
                using errcode = 'LY001';
        end if;

        insert into lot_use (shard, account, posting, ordinal, lot, purpose, points, occurred_at, recorded_at)
        select p_shard, u.account, u.posting, u.ordinal, u.lot, u.purpose, u.points, u.occurred_at, u.recorded_at
        from unnest(p_uses) u;

        -- The check on remaining refuses a lot used beyond its points.
        with used as (
            select u.account, u.lot, sum(u.points) as points from unnest(p_uses) u group by u.account, u.lot
        ), changed as (
            update open_lot o set remaining = o.remaining - used.points
            from used where o.shard = p_shard and o.account = used.account and o.lot = used.lot
                and o.account = any (v_accounts)
            returning 1
        )
        select (select count(*) from used) - (select count(*) from changed) into v_count;
        if v_count <> 0 then
            raise exception 'a lot that is used up was used again' using errcode = 'LY001';
        end if;
        delete from open_lot o using (select distinct u.account, u.lot from unnest(p_uses) u) u
        where o.shard = p_shard and o.account = u.account and o.lot = u.lot and o.remaining = 0
            and o.account = any (v_accounts);
    end if;

    if cardinality(p_tiers) > 0 then
        insert into tier_change (shard, account, posting, ordinal, at, tier, previous, reason, since, valid_until, verdict_at,
                                 ground_at, recorded_at)
        select p_shard, t.account, t.posting, t.ordinal, t.at, t.tier, t.previous, t.reason, t.since, t.valid_until,
               t.verdict_at, t.ground_at, t.recorded_at
        from unnest(p_tiers) t;
    end if;

    if cardinality(p_opened) > 0 then
        insert into open_hold (shard, account, redemption_id, posting, points, until)
        select p_shard, o.account, o.redemption_id, o.posting, o.points, o.until from unnest(p_opened) o;
    end if;
    if cardinality(p_ended) > 0 then
        delete from open_hold h using unnest(p_ended) x
        where h.shard = p_shard and h.account = x.account and h.redemption_id = x.redemption_id;
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_ended) then
            raise exception 'a hold that has ended was ended again' using errcode = 'LY001';
        end if;
    end if;

    update account a set
        number = h.number, seq = h.seq, lots = h.lots, balance = h.balance, held = h.held, debt = h.debt, hash = h.hash,
        recorded_at = h.recorded_at, due_at = h.due_at, pending_until = h.pending_until, active_at = h.active_at,
        purchases = h.purchases, tier = h.tier, tier_since = h.tier_since, tier_valid_until = h.tier_valid_until,
        tier_verdict_at = h.tier_verdict_at, tier_ground_at = h.tier_ground_at, tier_judged_at = h.tier_judged_at,
        spend_bound = h.spend_bound, visits_bound = h.visits_bound, bound_at = h.bound_at
    from unnest(p_heads) h where a.shard = p_shard and a.account = h.account and a.account = any (v_accounts);

    if cardinality(p_counters) > 0 then
        insert into counter as c (shard, account, rule, day, times, points)
        select p_shard, n.account, n.rule, n.day, n.times, n.points from unnest(p_counters) n order by 2, 3, 4
        on conflict (shard, account, rule, day) do update
            set times = c.times + excluded.times, points = c.points + excluded.points;
    end if;
    if cardinality(p_budgets) > 0 then
        insert into budget as b (shard, rule, points)
        select p_shard, n.rule, n.points from unnest(p_budgets) n order by n.rule
        on conflict (shard, rule) do update set points = b.points + excluded.points;
        if exists (select 1 from unnest(p_budgets) n join budget b on b.shard = p_shard and b.rule = n.rule
                   where n.points > 0 and b.points > n.most) then
            raise exception 'a budget no longer holds what was decided' using errcode = 'LY003';
        end if;
    end if;
end $$;
revoke all on function post(smallint, head_row[], posting_row[], entry_row[], lot_row[], use_row[], tier_row[],
                            hold_row[], ended_hold[], counter_row[], budget_row[]) from public;
grant execute on function post(smallint, head_row[], posting_row[], entry_row[], lot_row[], use_row[], tier_row[],
                               hold_row[], ended_hold[], counter_row[], budget_row[]) to loyalty_app;
