-- Who the accounts belong to, who may call, and what is under way. Personal data live
-- here alone, sealed: names to find people by stand as keyed hashes, and nothing is readable without the secret.

create table member (
    account bigint primary key,
    shard smallint not null,
    member_id text not null unique,
    enrolled_at timestamptz not null,
    channel text,
    fingerprint bytea,
    created_at timestamptz not null
);

-- Every name that means an account: scheme 'id' holds the member_id itself, the others a keyed hash with the sealed name
-- beside. A merge points them at the other account.
create table identifier (
    scheme text not null check (scheme in ('id', 'phone', 'card', 'email', 'ext')),
    value text not null,
    shard smallint not null,
    account bigint not null,
    sealed bytea,
    primary key (scheme, value),
    check ((scheme = 'id') = (sealed is null))
);
create index identifier_account on identifier (account);

create table person (
    account bigint primary key,
    name bytea,
    name_hash text,
    birthday bytea,
    check ((name is null) = (name_hash is null))
);
create index person_name on person (name_hash) where name_hash is not null;

create table api_key (
    key_id text primary key,
    name text not null,
    role text not null check (role in ('pos', 'eshop', 'ops', 'admin')),
    key_hash bytea not null unique,
    created_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz
);

-- `request`: what a backtest was asked, to tell one from another; `result`: its report. `slot`: of a scheduled run, the
-- instant at which it was to begin: one run a slot, unless it failed.
create table job (
    job_id text primary key,
    kind text not null check (kind in ('expiry', 'tier-review', 'hold-timeouts', 'backtest')),
    status text not null check (status in ('queued', 'running', 'done', 'failed')),
    through timestamptz not null,
    slot timestamptz,
    dry_run boolean not null,
    request text,
    progress double precision not null default 0,
    counts jsonb not null default '{}',
    detail text,
    result text,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create unique index job_one_under_way on job (kind) where status in ('queued', 'running');
create unique index job_slot on job (kind, slot) where status <> 'failed';
create index job_newest on job (created_at, job_id);

grant select, insert, update, delete on member, identifier, person, api_key, job to loyalty_app;
