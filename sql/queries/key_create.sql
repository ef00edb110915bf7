with made as (
    insert into api_key (key_id, name, role, store, expires_at, key_hash)
    values ($1::text, $2::text, $3::text, $4::text, $5::timestamptz, $6::bytea)
    returning key_id, name, role, store, created_at, expires_at, revoked_at
)
select made.*, pg_notify('loyalty_keys', '') from made
