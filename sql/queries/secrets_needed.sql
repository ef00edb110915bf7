-- The secrets without which not everybody is found: first the one that seals now (none before the first), then those that
-- a rotation has not replaced everywhere yet.
select array_remove(secret_id || older_secret_ids, null) from setting
