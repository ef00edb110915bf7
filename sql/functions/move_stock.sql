-- Adds units to a reward's stock, or takes some, under an id of its own. Returns the stock afterwards; null where there
-- are fewer than were to be taken. Repeated ids are the caller's to look up: they raise a unique violation here.
create or replace function move_stock(
    p_stock_id text, p_reward_id text, p_units bigint, p_reason text, p_author text
) returns bigint language plpgsql volatile security definer set search_path = loyalty, pg_temp as $$
declare
    v_units bigint;
begin
    insert into reward_stock (reward_id, units) values (p_reward_id, 0) on conflict do nothing;
    select s.units + p_units into v_units from reward_stock s where s.reward_id = p_reward_id for no key update;
    if v_units < 0 then
        return null;
    end if;
    update reward_stock s set units = v_units where s.reward_id = p_reward_id;
    insert into stock_move (stock_id, reward_id, units, stock, reason, author, recorded_at)
    values (p_stock_id, p_reward_id, p_units, v_units, p_reason, p_author, ledger_now());
    return v_units;
end $$;
revoke all on function move_stock(text, text, bigint, text, text) from public;
grant execute on function move_stock(text, text, bigint, text, text) to loyalty_app;
