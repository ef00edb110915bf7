-- A key stays revoked from its first revocation on.
with revoked as (
    update api_key set revoked_at = coalesce(revoked_at, clock_timestamp()) where key_id = $1::text
    returning key_id
)
select revoked.key_id, pg_notify('loyalty_keys', '') from revoked
