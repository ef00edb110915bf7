-- Locks accounts in order, then reads, in new statements, what decisions about them need. One shard a call. whole: those
-- that come with all their open lots and holds.
-- p_loaded: the accounts whose open lots and holds are all wanted; they come anyway where something is due. Of the others
-- come the lots that are pending, and before a first activity the idle ones, which it may end.
-- p_kinds, p_ids: requests whose rows, if any, come back, read under the lock.
-- p_counters: whether budgets come back, and what was used of limited rules on the days p_days.
-- p_wait: for accounts that others have locked. Without it these are left out.
-- The form of the version before, without p_days, stays: its servers go on until they are replaced.
drop function if exists lock_accounts(smallint, bigint[], bigint[], posting_kind[], text[], boolean, date[], boolean);
create or replace function lock_accounts(
    p_shard smallint, p_accounts bigint[], p_loaded bigint[], p_kinds posting_kind[], p_ids text[], p_counters boolean,
    p_days date[], p_wait boolean,
    out now timestamptz, out program_version integer, out heads locked_head[], out whole bigint[], out lots open_lot_row[],
    out holds hold_row[], out hold_uses used_lot[], out counters counter_row[], out budgets budget_row[],
    out recorded found_request[]
) language plpgsql volatile set search_path = loyalty, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_partly bigint[];
begin
    if p_wait then
        perform from account a where a.shard = p_shard and a.account = any (p_accounts)
        order by a.account for no key update;
    end if;

    -- What comes of a locked row is the row as it was when the lock was had.
    select array_agg(row(
            a.account, a.status, a.merged_into, a.member_id, a.number, a.seq, a.lots, a.balance, a.held, a.debt, a.hash,
            a.recorded_at, a.due_at, a.pending_until, a.active_at, a.purchases,
            a.tier, a.tier_since, a.tier_valid_until, a.tier_verdict_at, a.tier_ground_at, a.tier_judged_at,
            a.spend_bound, a.visits_bound, a.bound_at
        )::locked_head)
    into heads
    from (
        select a.*, m.member_id
        from account a
        left join member m on m.account = a.account
        where a.shard = p_shard and a.account = any (p_accounts)
        order by a.account for no key update of a skip locked
    ) a;

    -- Of a request on an account that was merged, as of the one it went to. One look-up by the whole key for each request,
    -- whatever the planner thinks of tables that have no statistics yet: joined, it read the shard's requests all through.
    select ledger_now(), (select max(v.version) from program_version v), (
            select array_agg(row(p.kind, p.id, coalesce(a.merged_shard, p.shard), coalesce(a.merged_into, p.account),
                p.fingerprint, p.answer)::found_request)
            from unnest(p_kinds, p_ids) as q (kind, id)
            cross join lateral (
                select * from full_posting r where r.shard = p_shard and r.kind = q.kind and r.id = q.id offset 0
            ) p
            join account a on a.shard = p_shard and a.account = p.account
        ), case when p_counters then (
            select array_agg(row(c.account, c.rule, c.day, c.times, c.points)::counter_row)
            from counter c where c.shard = p_shard and c.account = any (p_accounts) and c.day = any (p_days)
        ) end, case when p_counters then (
            select array_agg(row(b.rule, b.points, null)::budget_row) from budget b where b.shard = p_shard
        ) end
    into now, program_version, recorded, counters, budgets;

    select array_agg(h.account) filter (where h.account = any (p_loaded) or h.due_at <= lock_accounts.now),
        array_agg(h.account) filter (where h.pending_until > lock_accounts.now or (h.active_at is null and h.balance <> 0))
    into whole, v_partly
    from unnest(heads) h;

    if whole is not null or v_partly is not null then
        select array_agg(row(o.account, o.lot, o.origin, o.remaining, o.earned_at, o.spendable_from, o.expires_at,
                o.idle, o.purchase_id)::open_lot_row)
        into lots
        from open_lot o
        where o.shard = p_shard and o.account = any (whole || v_partly)
            and (o.idle or o.spendable_from > lock_accounts.now or o.account = any (whole));
    end if;

    if whole is not null then
        select array_agg(row(h.account, h.redemption_id, h.posting, h.points, h.until)::hold_row)
        into holds from open_hold h where h.shard = p_shard and h.account = any (whole);

        if holds is not null then
            select array_agg(row(u.account, u.posting, u.lot, l.origin, u.points,
                    l.earned_at, l.spendable_from, l.expires_at, l.idle, l.purchase_id)::used_lot
                order by u.account, u.posting, u.ordinal)
            into hold_uses
            from unnest(holds) h
            join lot_use u on u.shard = p_shard and u.account = h.account and u.posting = h.posting
            join lot l on l.shard = p_shard and l.account = u.account and l.lot = u.lot
            where u.purpose in ('hold', 'merge');
        end if;
    end if;
end $$;
revoke all on function lock_accounts(smallint, bigint[], bigint[], posting_kind[], text[], boolean, date[], boolean) from public;
grant execute on function lock_accounts(smallint, bigint[], bigint[], posting_kind[], text[], boolean, date[], boolean) to loyalty_app;
