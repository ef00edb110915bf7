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

-- The birthday, sealed as the person's is, by which the first award of a year was given: edits count from the next year.
create table birthday_pin (
    account bigint not null,
    year integer not null,
    birthday bytea not null,
    primary key (account, year)
);

-- What a member agreed to, and took back: each saying is a row, the last one of a purpose holds. Rows are added only,
-- and go when the member is erased.
create table consent (
    consent_id bigint generated always as identity primary key,
    account bigint not null,
    purpose text not null,
    granted boolean not null,
    at timestamptz not null,
    source text,
    recorded_at timestamptz not null
);
create index consent_account on consent (account, purpose);

create table api_key (
    key_id text primary key,
    name text not null,
    role text not null check (role in ('pos', 'eshop', 'ops', 'admin')),
    store text,
    key_hash bytea not null unique,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);

-- Immutable: who did what by hand, and on what.
create table act (
    act_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    key_id text,
    key_name text not null,
    what text not null,
    target text not null,
    details jsonb not null,
    request_id text
);
create trigger append_only before update or delete on act for each row execute function refuse_change();
create trigger append_only_truncate before truncate on act for each statement execute function refuse_change();

-- A consent goes with the person whom it was from, and in no other way.
create function refuse_consent_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and exists (
        select from member m
        join account a on a.shard = m.shard and a.account = m.account
        left join account t on t.shard = a.merged_shard and t.account = a.merged_into
        where m.account = old.account and coalesce(t.status, a.status) = 'erased'
    ) then
        return old;
    end if;
    raise exception 'consent is append-only: say anew what holds' using errcode = 'LY002';
end $$;
create trigger append_only before update or delete on consent for each row execute function refuse_consent_change();
create trigger append_only_truncate before truncate on consent for each statement execute function refuse_change();

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

grant select, insert, update, delete on member, identifier, person, birthday_pin, api_key, job to loyalty_app;
grant select, insert on act to loyalty_app;
grant select, insert, delete on consent to loyalty_app;
