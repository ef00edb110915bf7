-- The ledger's clock: the database's own, moved by the sandbox's offset.
create or replace function ledger_now() returns timestamptz language sql volatile as $$
    select date_trunc('microseconds', clock_timestamp() + clock_offset) from setting
$$;
