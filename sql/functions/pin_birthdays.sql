-- Keeps the birthdays, as sealed with the people, that awards of a year were given by; the first of a year stays. Refused,
-- to be decided again, where a birthday was changed or sealed anew meanwhile.
create or replace function pin_birthdays(p_accounts bigint[], p_years integer[], p_sealed bytea[])
returns void language plpgsql set search_path = loyalty, pg_temp as $$
begin
    perform 1 from person p where p.account = any (p_accounts) order by p.account for share;
    if exists (select 1 from unnest(p_accounts, p_sealed) n (account, sealed)
               left join person p on p.account = n.account where p.birthday is distinct from n.sealed) then
        raise exception 'a birthday was changed meanwhile' using errcode = 'serialization_failure';
    end if;
    insert into birthday_pin (account, year, birthday)
    select n.account, n.year, n.sealed from unnest(p_accounts, p_years, p_sealed) n (account, year, sealed)
    on conflict do nothing;
end $$;
