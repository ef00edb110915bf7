-- Says of an account where it went, and of those that had gone into it. Its points are moved by post().
create or replace function mark_merged(p_shard smallint, p_account bigint, p_into_shard smallint, p_into bigint)
returns void language plpgsql volatile security definer set search_path = loyalty, pg_temp as $$
begin
    if exists (select 1 from account a where a.shard = p_shard and a.account = p_account
               and (a.balance <> 0 or a.held <> 0 or a.debt <> 0 or a.status = 'merged'))
       or exists (select 1 from account a where a.shard = p_into_shard and a.account = p_into and a.status = 'merged') then
        raise exception 'account % cannot be merged as it stands', p_account using errcode = 'LY001';
    end if;
    update account a set status = 'merged', merged_shard = p_into_shard, merged_into = p_into
    where (a.shard = p_shard and a.account = p_account) or a.merged_into = p_account;
end $$;
revoke all on function mark_merged(smallint, bigint, smallint, bigint) from public;
grant execute on function mark_merged(smallint, bigint, smallint, bigint) to loyalty_app;
