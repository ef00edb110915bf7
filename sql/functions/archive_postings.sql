-- Moves the texts of a range of accounts' postings that were recorded before an instant into the archive, at most p_most.
-- Returns how many, and their bytes as they lie there. What another run has in hand is left to it.
create or replace function archive_postings(
    p_shard smallint, p_first bigint, p_last bigint, p_before timestamptz, p_most integer,
    out postings bigint, out bytes bigint
) language plpgsql volatile security definer
    set search_path = loyalty, pg_temp set enable_seqscan = off as $$
declare
    v_accounts bigint[];
    v_numbers integer[];
begin
    with moved as (
        insert into archived_text (shard, account, number, facts, answer)
        select p.shard, p.account, p.number, p.facts, p.answer
        from posting p
        where p.shard = p_shard and p.account between p_first and p_last and p.recorded_at < p_before
            and (p.facts is not null or p.answer is not null)
        order by p.account, p.number limit p_most for no key update skip locked
        returning account, number, coalesce(pg_column_size(facts), 0) + coalesce(pg_column_size(answer), 0) as size
    )
    select array_agg(m.account), array_agg(m.number), count(*), coalesce(sum(m.size), 0) from moved m
    into v_accounts, v_numbers, postings, bytes;

    update posting p set facts = null, answer = null
    from unnest(v_accounts, v_numbers) m (account, number)
    where p.shard = p_shard and p.account = m.account and p.number = m.number;
end $$;
revoke all on function archive_postings(smallint, bigint, bigint, timestamptz, integer) from public;
grant execute on function archive_postings(smallint, bigint, bigint, timestamptz, integer) to loyalty_app;
