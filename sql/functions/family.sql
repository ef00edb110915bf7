-- An account and those that were merged into it: whose postings count as its own. They may lie in other shards.
create or replace function family(p_shard smallint, p_accounts bigint[])
returns table (owner bigint, shard smallint, account bigint) language sql stable as $$
    select o.account, p_shard, o.account from unnest(p_accounts) o (account)
    union all
    select a.merged_into, a.shard, a.account from account a where a.merged_into = any (p_accounts)
$$;
