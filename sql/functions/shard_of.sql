-- The shard that an account lies in, by its number: fixed when the database is made.
create or replace function shard_of(p_account bigint) returns smallint language sql stable as $$
    select (abs(hashint8extended(p_account, 0)) % s.shards)::smallint from setting s
$$;
