-- The secret that seals personal data now: p_first if none did before. It stays so to the end of the transaction.
create or replace function secret_in_use(p_first bytea) returns bytea
language plpgsql security definer set search_path = loyalty, pg_temp as $$
begin
    perform pg_advisory_xact_lock_shared(hashtext('loyalty.secret'));
    update setting set secret_id = p_first where secret_id is null and p_first is not null;
    return (select s.secret_id from setting s);
end $$;
revoke all on function secret_in_use(bytea) from public;
grant execute on function secret_in_use(bytea) to loyalty_app;
