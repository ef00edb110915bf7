select key_id, name, role, created_at, revoked_at from api_key order by created_at, key_id
