-- What the functions take and give: rows without the shard, which is one argument of its own.

create type posting_row as (
    account bigint, number integer, kind posting_kind, id text, subject text,
    occurred_at timestamptz, recorded_at timestamptz, program_version integer,
    qualifying_at timestamptz, qualifying_amount bigint,
    fingerprint bytea, facts text, answer bytea, hash bytea
);
create type entry_row as (
    account bigint, seq integer, posting integer, kind entry_kind, points bigint, balance_after bigint,
    occurred_at timestamptz, recorded_at timestamptz
);
create type lot_row as (
    account bigint, lot integer, posting integer, origin integer, points bigint,
    earned_at timestamptz, spendable_from timestamptz, expires_at timestamptz, idle boolean, purchase_id text,
    occurred_at timestamptz, recorded_at timestamptz
);
create type use_row as (
    account bigint, posting integer, ordinal integer, lot integer, purpose use_purpose, points bigint,
    occurred_at timestamptz, recorded_at timestamptz
);
create type tier_row as (
    account bigint, posting integer, ordinal smallint, at timestamptz, tier text, previous text, reason text,
    since timestamptz, valid_until timestamptz, verdict_at timestamptz, ground_at timestamptz, recorded_at timestamptz
);
create type hold_row as (account bigint, redemption_id text, posting integer, points bigint, until timestamptz);
create type ended_hold as (account bigint, redemption_id text);
create type counter_row as (account bigint, rule text, day date, times integer, points bigint);
create type budget_row as (rule text, points bigint, most bigint);

-- An account as the decisions need it.
create type head_row as (
    account bigint, was_number integer, number integer, seq integer, lots integer,
    balance bigint, held bigint, debt bigint, hash bytea, recorded_at timestamptz,
    due_at timestamptz, pending_until timestamptz, active_at timestamptz, purchases integer,
    tier text, tier_since timestamptz, tier_valid_until timestamptz, tier_verdict_at timestamptz,
    tier_ground_at timestamptz, tier_judged_at timestamptz,
    spend_bound bigint, visits_bound integer, bound_at timestamptz
);
create type locked_head as (
    account bigint, status account_status, merged_into bigint, member_id text, number integer, seq integer, lots integer,
    balance bigint, held bigint, debt bigint, hash bytea, recorded_at timestamptz,
    due_at timestamptz, pending_until timestamptz, active_at timestamptz, purchases integer,
    tier text, tier_since timestamptz, tier_valid_until timestamptz, tier_verdict_at timestamptz,
    tier_ground_at timestamptz, tier_judged_at timestamptz,
    spend_bound bigint, visits_bound integer, bound_at timestamptz
);
create type open_lot_row as (
    account bigint, lot integer, origin integer, remaining bigint, earned_at timestamptz,
    spendable_from timestamptz, expires_at timestamptz, idle boolean, purchase_id text
);
-- A lot's points that a posting used: what a restore gives back.
create type used_lot as (
    account bigint, posting integer, lot integer, origin integer, points bigint,
    earned_at timestamptz, spendable_from timestamptz, expires_at timestamptz, idle boolean, purchase_id text
);
create type found_request as (
    kind posting_kind, id text, shard smallint, account bigint, fingerprint bytea, answer bytea
);
