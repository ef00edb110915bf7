select key_hash, key_id, role, name, store, expires_at from api_key
where revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
