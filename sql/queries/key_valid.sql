select key_hash, key_id, role from api_key where revoked_at is null
