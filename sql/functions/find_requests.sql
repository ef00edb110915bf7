-- Requests that were recorded, by kind and id: where they lie, and what was answered. An account that was merged is
-- given as the one it went to.
create or replace function find_requests(p_shards smallint, p_kinds posting_kind[], p_ids text[])
returns setof found_request language sql stable as $$
    select p.kind, p.id, coalesce(a.merged_shard, p.shard), coalesce(a.merged_into, p.account), p.fingerprint, p.answer
    from generate_series(0, p_shards - 1) s (shard), unnest(p_kinds, p_ids) q (kind, id)
    join full_posting p on p.kind = q.kind and p.id = q.id
    join account a on a.shard = p.shard and a.account = p.account
    where p.shard = s.shard
$$;
