select key_id, name, role, store, created_at, expires_at, revoked_at from api_key order by created_at, key_id
