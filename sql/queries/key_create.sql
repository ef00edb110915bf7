with made as (
    insert into api_key (key_id, name, role, key_hash)
    values ($1::text, $2::text, $3::text, $4::bytea)
    returning key_id, name, role, created_at, revoked_at
)
select made.*, pg_notify('loyalty_keys', '') from made
