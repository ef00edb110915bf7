-- Gives out the vouchers of claims that post() wrote in this transaction, ends those of cancelled ones, and moves the
-- stock. SQLSTATE LY001: no such claim or cancellation was posted; LY003: the stock no longer holds what was decided
-- (decide again); a unique violation: the voucher was used meanwhile.
create or replace function settle_claims(p_shard smallint, p_vouchers voucher_row[], p_cancelled cancelled_row[])
returns void language plpgsql volatile security definer set search_path = loyalty, pg_temp as $$
declare
    v_wrong record;
    v_rewards text[];
    v_missing bigint;
begin
    select v.claim_id into v_wrong
    from unnest(p_vouchers) v
    left join posting p on p.shard = p_shard and p.account = v.account and p.number = v.posting
        and p.kind = 'claim' and p.id = v.claim_id
    where p.account is null limit 1;
    if found then
        raise exception 'no claim stands behind the voucher of %', v_wrong.claim_id using errcode = 'LY001';
    end if;

    insert into voucher (code, account, posting, claim_id, reward_id, version, counted, valid_until, recorded_at)
    select v.code, v.account, v.posting, v.claim_id, v.reward_id, v.version, v.counted, v.valid_until, v.recorded_at
    from unnest(p_vouchers) v;

    select c.account, c.posting into v_wrong
    from unnest(p_cancelled) c
    left join voucher v on v.code = c.code
    left join posting p on p.shard = p_shard and p.account = c.account and p.number = c.posting
        and p.kind = 'cancellation' and p.subject = v.claim_id
    where p.account is null limit 1;
    if found then
        raise exception 'posting % of account % cancels no such claim', v_wrong.posting, v_wrong.account
            using errcode = 'LY001';
    end if;

    insert into voucher_end (code, ending, recorded_at)
    select c.code, 'cancelled', p.recorded_at
    from unnest(p_cancelled) c
    join posting p on p.shard = p_shard and p.account = c.account and p.number = c.posting
    order by c.code;

    -- The last locks: what comes now until the commit is short.
    select array_agg(distinct m.reward_id) into v_rewards from (
        select v.reward_id from unnest(p_vouchers) v where v.counted
        union all
        select v.reward_id from unnest(p_cancelled) c join voucher v on v.code = c.code where v.counted
    ) m;
    if v_rewards is null then
        return;
    end if;
    perform 1 from reward_stock s where s.reward_id = any (v_rewards) order by s.reward_id for no key update;
    with moved as (
        select m.reward_id, sum(m.units) as units from (
            select v.reward_id, -1 as units from unnest(p_vouchers) v where v.counted
            union all
            select v.reward_id, 1 from unnest(p_cancelled) c join voucher v on v.code = c.code where v.counted
        ) m group by m.reward_id
    ), changed as (
        update reward_stock s set units = s.units + moved.units
        from moved where s.reward_id = moved.reward_id and s.units + moved.units >= 0
        returning 1
    )
    select (select count(*) from moved) - (select count(*) from changed) into v_missing;
    if v_missing <> 0 then
        raise exception 'a stock no longer holds what was decided' using errcode = 'LY003';
    end if;
end $$;
revoke all on function settle_claims(smallint, voucher_row[], cancelled_row[]) from public;
grant execute on function settle_claims(smallint, voucher_row[], cancelled_row[]) to loyalty_app;
