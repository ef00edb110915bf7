-- Makes the empty account of a new member and returns where it lies.
create or replace function open_account(out shard smallint, out account bigint)
language plpgsql security definer set search_path = loyalty, pg_temp as $$
begin
    account := nextval('account_number');
    shard := shard_of(account);
    insert into account (shard, account) values (open_account.shard, open_account.account);
end $$;
revoke all on function open_account() from public;
grant execute on function open_account() to loyalty_app;
