-- Uses a voucher, once. Returns whether it did: not where it has ended, is over, or is none. A unique violation: the
-- use's id was used for another voucher.
create or replace function use_voucher(p_code text, p_use_id text, p_purchase_id text)
returns boolean language plpgsql volatile security definer set search_path = loyalty, pg_temp as $$
declare
    v_now timestamptz := ledger_now();
begin
    insert into voucher_end (code, ending, use_id, purchase_id, recorded_at)
    select v.code, 'used', p_use_id, p_purchase_id, v_now
    from voucher v where v.code = p_code and (v.valid_until is null or v.valid_until > v_now)
    on conflict (code) do nothing;
    return found;
end $$;
revoke all on function use_voucher(text, text, text) from public;
grant execute on function use_voucher(text, text, text) to loyalty_app;
