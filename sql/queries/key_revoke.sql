-- A key stays revoked from its first revocation on. `now`: whether this was it.
with revoked as (
    update api_key k set revoked_at = coalesce(k.revoked_at, clock_timestamp())
    from (select key_id, revoked_at from api_key where key_id = $1::text for update) was
    where k.key_id = was.key_id
    returning k.key_id, was.revoked_at is null as now
)
select revoked.key_id, revoked.now, pg_notify('loyalty_keys', '') from revoked
