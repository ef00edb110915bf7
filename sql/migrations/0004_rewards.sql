-- Rewards: what members may take for points. A claim is a posting of the member's account; here are the catalogue, the
-- stock, and the vouchers that claims gave. Vouchers name their account, not its shard: they are found by their code.

-- Immutable: what a reward costs, to whom and when. The newest version is the one on offer.
create table reward_version (
    reward_id text not null,
    version integer not null check (version > 0),
    terms text not null,
    author text,
    recorded_at timestamptz not null,
    primary key (reward_id, version)
);

-- Immutable: units that came into stock, or left it but by a claim.
create table stock_move (
    stock_id text primary key,
    reward_id text not null,
    units bigint not null check (units <> 0),
    stock bigint not null check (stock >= 0),
    reason text,
    author text,
    recorded_at timestamptz not null
);
create index stock_move_reward on stock_move (reward_id);

-- Immutable: what a claim gave. `counted`: it took a unit from the stock.
create table voucher (
    code text primary key,
    account bigint not null,
    posting integer not null,
    claim_id text not null unique,
    reward_id text not null,
    version integer not null,
    counted boolean not null,
    valid_until timestamptz,
    recorded_at timestamptz not null
);
create unique index voucher_posting on voucher (account, posting);
create index voucher_reward on voucher (reward_id);

-- Immutable: how a voucher ended, once.
create type voucher_ending as enum ('used', 'cancelled');
create table voucher_end (
    code text primary key,
    ending voucher_ending not null,
    use_id text unique,
    purchase_id text,
    recorded_at timestamptz not null,
    check ((ending = 'used') = (use_id is not null))
);

-- A projection: units that can be claimed. One row a reward for all shards, because its last unit goes to one member;
-- it is locked last, by claims of that reward alone.
create table reward_stock (
    reward_id text primary key,
    units bigint not null check (units >= 0)
) with (fillfactor = 50);

do $$
declare
    name text;
begin
    foreach name in array array['reward_version', 'stock_move', 'voucher', 'voucher_end'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_truncate before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;
end $$;

create type voucher_row as (
    code text, account bigint, posting integer, claim_id text, reward_id text, version integer, counted boolean,
    valid_until timestamptz, recorded_at timestamptz
);
create type cancelled_row as (code text, account bigint, posting integer);

grant select on reward_version, stock_move, voucher, voucher_end, reward_stock to loyalty_app;
grant insert on reward_version to loyalty_app;
