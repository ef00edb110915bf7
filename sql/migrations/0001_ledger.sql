-- The ledger: immutable rows first, then what can be rebuilt from them.
-- Words and promises: docs/LEDGER.md. Every key begins with the shard, so that accounts can be spread over machines.

do $$
begin
    create role loyalty_app nologin;
exception when duplicate_object or unique_violation then
    null; -- roles belong to the cluster: another database has it already, or makes it at this moment
end $$;

do $$
begin
    execute format('grant loyalty_app to %I', current_user);
exception when others then
    if not pg_has_role(current_user, 'loyalty_app', 'member') then
        raise exception 'the database user % must be allowed to become loyalty_app', current_user
            using hint = 'As a superuser: GRANT loyalty_app TO ' || quote_ident(current_user);
    end if;
end $$;

grant usage on schema loyalty to loyalty_app;

create type posting_kind as enum (
    'purchase', 'return', 'redemption', 'reversal', 'adjustment', 'event', 'opening', 'claim', -- carry a request's id
    'capture', 'release', 'timeout',                                          -- end the hold that is their subject
    'cancellation',                                                           -- takes back the claim that is its subject
    'expiry', 'verdict',                                                      -- were due
    'merge', 'erasure'
);
create type entry_kind as enum ('earn', 'redeem', 'restore', 'clawback', 'expire', 'adjust', 'merge');
create type program_account as enum ('issued', 'redeemed', 'expired', 'adjusted', 'merged');
create type use_purpose as enum ('redeem', 'hold', 'expire', 'clawback', 'debt', 'adjust', 'merge', 'forfeit');
create type account_status as enum ('active', 'blocked', 'erased', 'merged');

-- One row. Set when the database is made; the clock's offset only in a sandbox; which secret seals personal data now, and
-- with which older ones something may still be sealed while a rotation is not through.
create table setting (
    one boolean primary key default true check (one),
    shards smallint not null default 1 check (shards > 0),
    clock_offset interval not null default '0',
    secret_id bytea check (length(secret_id) = 4),
    older_secret_ids bytea[] not null default '{}'
);
insert into setting default values;

-- Immutable: each version of the program, chained by hash to the one before.
create table program_version (
    version integer primary key check (version > 0),
    effective_from timestamptz not null,
    source text not null,
    format text not null check (format in ('toml', 'json')),
    author text,
    note text,
    recorded_at timestamptz not null,
    hash bytea not null check (length(hash) = 32)
);

-- Immutable: what happened to an account, one row for each request or due thing, numbered without a gap and chained by
-- hash. A request's row answers whoever repeats it; its facts let the decision be made again.
create table posting (
    shard smallint not null,
    account bigint not null,
    number integer not null check (number > 0),
    kind posting_kind not null,
    id text,
    subject text,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    program_version integer not null,
    qualifying_at timestamptz,
    qualifying_amount bigint not null default 0,
    fingerprint bytea,
    facts text,
    answer bytea,
    hash bytea not null check (length(hash) = 32),
    primary key (shard, account, number),
    check ((id is null) = (fingerprint is null)),
    check (qualifying_amount = 0 or qualifying_at is not null)
);
create unique index posting_request on posting (shard, kind, id) where id is not null;
create unique index posting_hold_ends_once on posting (shard, account, subject)
    where kind in ('capture', 'release', 'timeout');
create index posting_subject on posting (shard, account, subject, number) where subject is not null;
create index posting_qualifying on posting (shard, account, qualifying_at) include (qualifying_amount)
    where qualifying_amount <> 0;

-- Immutable: points moved between the account and a program account.
create table entry (
    shard smallint not null,
    account bigint not null,
    seq integer not null check (seq > 0),
    posting integer not null,
    kind entry_kind not null,
    counter program_account not null,
    points bigint not null,
    balance_after bigint not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    primary key (shard, account, seq),
    check (case kind
        when 'earn' then points > 0 and counter = 'issued'
        when 'clawback' then points < 0 and counter = 'issued'
        when 'redeem' then points < 0 and counter = 'redeemed'
        when 'restore' then points > 0 and counter = 'redeemed'
        when 'expire' then points < 0 and counter = 'expired'
        when 'adjust' then points <> 0 and counter = 'adjusted'
        when 'merge' then points <> 0 and counter = 'merged'
    end)
);

-- Immutable: points of one grant that share a life. Points given back make a lot of the same origin.
create table lot (
    shard smallint not null,
    account bigint not null,
    lot integer not null check (lot > 0),
    posting integer not null,
    origin integer not null,
    points bigint not null check (points > 0),
    earned_at timestamptz not null,
    spendable_from timestamptz not null,
    expires_at timestamptz,
    idle boolean not null,
    purchase_id text,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    primary key (shard, account, lot),
    check (expires_at is null or not idle)
);

-- Immutable: points of a lot used, and what for; numbered 1..n in each posting, in the order of use.
create table lot_use (
    shard smallint not null,
    account bigint not null,
    posting integer not null,
    ordinal integer not null,
    lot integer not null,
    purpose use_purpose not null,
    points bigint not null check (points > 0),
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    primary key (shard, account, posting, ordinal)
);

-- Immutable: every change of an account's tier, and each renewal.
create table tier_change (
    shard smallint not null,
    account bigint not null,
    posting integer not null,
    ordinal smallint not null,
    at timestamptz not null,
    tier text not null,
    previous text,
    reason text not null,
    since timestamptz not null,
    valid_until timestamptz,
    verdict_at timestamptz,
    ground_at timestamptz,
    recorded_at timestamptz not null,
    primary key (shard, account, posting, ordinal)
);

-- From here on: projections, rebuilt from the rows above by `loyalty audit`.

create sequence account_number;

-- due_at is a bound: never later than the first thing due, so that a purchase need not move it.
-- spend_bound and visits_bound are never below what any window holds that ends at or after bound_at, so that a purchase
-- from then on need not read the window.
create table account (
    shard smallint not null,
    account bigint not null,
    status account_status not null default 'active',
    merged_shard smallint,
    merged_into bigint,
    number integer not null default 0,
    seq integer not null default 0,
    lots integer not null default 0,
    balance bigint not null default 0,
    held bigint not null default 0 check (held >= 0),
    debt bigint not null default 0 check (debt >= 0),
    hash bytea not null default decode(repeat('00', 32), 'hex'),
    recorded_at timestamptz not null default '1900-01-01 00:00Z',
    due_at timestamptz,
    pending_until timestamptz,
    active_at timestamptz,
    purchases integer not null default 0 check (purchases >= 0),
    tier text,
    tier_since timestamptz,
    tier_valid_until timestamptz,
    tier_verdict_at timestamptz,
    tier_ground_at timestamptz,
    tier_judged_at timestamptz,
    spend_bound bigint not null default 0,
    visits_bound integer not null default 0,
    bound_at timestamptz not null default '1900-01-01 00:00Z',
    primary key (shard, account)
) with (fillfactor = 70);
create index account_due on account (shard, due_at) where due_at is not null;
create index account_verdict on account (shard, tier_verdict_at, account) where tier_verdict_at is not null;
create index account_merged on account (merged_into) where merged_into is not null;

create table open_lot (
    shard smallint not null,
    account bigint not null,
    lot integer not null,
    origin integer not null,
    remaining bigint not null check (remaining >= 0),
    earned_at timestamptz not null,
    spendable_from timestamptz not null,
    expires_at timestamptz,
    idle boolean not null,
    purchase_id text,
    primary key (shard, account, lot)
) with (fillfactor = 80);

create table open_hold (
    shard smallint not null,
    account bigint not null,
    redemption_id text not null,
    posting integer not null,
    points bigint not null check (points > 0),
    until timestamptz not null,
    primary key (shard, account, redemption_id)
);

-- What a member has had of a rule with a limit: day null means ever.
create table counter (
    shard smallint not null,
    account bigint not null,
    rule text not null,
    day date not null,
    times integer not null,
    points bigint not null,
    primary key (shard, account, rule, day)
) with (fillfactor = 80);

-- What all members of a shard have had of a rule with a budget.
create table budget (
    shard smallint not null,
    rule text not null,
    points bigint not null,
    primary key (shard, rule)
) with (fillfactor = 50);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: rows are never changed or deleted', tg_table_name
        using errcode = 'LY002', hint = 'Correct points with an adjustment, a return or a reversal.';
end $$;

do $$
declare
    name text;
begin
    foreach name in array array['posting', 'entry', 'lot', 'lot_use', 'tier_change', 'program_version'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_truncate before truncate on %I
            for each statement execute function refuse_change()', name);
    end loop;
end $$;

-- The application reads everything; into the ledger it writes only through the functions post() and open_account().
grant select on all tables in schema loyalty to loyalty_app;
grant insert on program_version to loyalty_app;
grant update (status) on account to loyalty_app;
grant update (clock_offset) on setting to loyalty_app;
