-- The naive ledger: what one would write first. Tables, and one function that does one purchase.
create schema naive;
create table naive.account (
    account bigint primary key,
    member_id text not null unique,
    balance bigint not null default 0,
    number integer not null default 0
) with (fillfactor = 70);
create table naive.request (id text primary key, account bigint not null, answer text not null);
create table naive.entry (
    account bigint not null, number integer not null, request text not null, points bigint not null,
    balance_after bigint not null, occurred_at timestamptz not null, recorded_at timestamptz not null,
    primary key (account, number)
);
create table naive.lot (
    account bigint not null, number integer not null, points bigint not null, remaining bigint not null,
    expires_at timestamptz not null, primary key (account, number)
);
insert into naive.account (account, member_id) select n, 'm' || lpad(n::text, 8, '0') from generate_series(1, :members) n;

create function naive.purchase(p_id text, p_account bigint, p_points bigint) returns text language plpgsql as $$
declare
    v_head naive.account;
    v_answer text;
begin
    select * into v_head from naive.account where account = p_account for update;
    v_answer := format('{"purchase_id":"%s","points_earned":%s,"balance":%s}', p_id, p_points, v_head.balance + p_points);
    insert into naive.request (id, account, answer) values (p_id, p_account, v_answer) on conflict (id) do nothing;
    if not found then
        return (select answer from naive.request where id = p_id);
    end if;
    insert into naive.entry (account, number, request, points, balance_after, occurred_at, recorded_at)
    values (p_account, v_head.number + 1, p_id, p_points, v_head.balance + p_points, now(), now());
    insert into naive.lot (account, number, points, remaining, expires_at)
    values (p_account, v_head.number + 1, p_points, p_points, now() + interval '1 year');
    update naive.account set balance = balance + p_points, number = number + 1 where account = p_account;
    return v_answer;
end $$;
