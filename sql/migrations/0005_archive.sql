-- Old postings leave their long texts to a table that may lie on cheaper disk (docs/OPERATIONS.md). What they say does not
-- change, nor does their hash: full_posting is a posting with its texts, wherever they lie.

-- Immutable: the facts and the answer of a posting, as they stood in it.
create table archived_text (
    shard smallint not null,
    account bigint not null,
    number integer not null,
    facts text,
    answer bytea,
    primary key (shard, account, number),
    check (facts is not null or answer is not null)
);
create trigger append_only before update or delete on archived_text for each row execute function refuse_change();
create trigger append_only_truncate before truncate on archived_text for each statement execute function refuse_change();

-- Looked up only for postings that have no text, each by its whole key, whatever is known of the tables.
create view full_posting as
select p.shard, p.account, p.number, p.kind, p.id, p.subject, p.occurred_at, p.recorded_at, p.program_version,
       p.qualifying_at, p.qualifying_amount, p.fingerprint, coalesce(p.facts, t.facts) as facts,
       coalesce(p.answer, t.answer) as answer, p.hash
from posting p
left join lateral (
    select a.facts, a.answer from archived_text a
    where p.facts is null and p.answer is null
        and a.shard = p.shard and a.account = p.account and a.number = p.number
    offset 0
) t on true;

-- A posting never changes, but that its texts go when the archive has them, both, to the letter.
create function refuse_posting_change() returns trigger language plpgsql set search_path = loyalty, pg_temp as $$
declare
    v_without posting := old;
begin
    v_without.facts := null;
    v_without.answer := null;
    if tg_op = 'UPDATE' and new is not distinct from v_without and exists (
        select from archived_text a
        where a.shard = old.shard and a.account = old.account and a.number = old.number
            and a.facts is not distinct from old.facts and a.answer is not distinct from old.answer
    ) then
        return new;
    end if;
    raise exception 'posting is append-only: rows are never changed or deleted'
        using errcode = 'LY002', hint = 'Correct points with an adjustment, a return or a reversal.';
end $$;
-- Replaced, not dropped and made: that would wait for everybody who reads postings, and tills would wait for it.
create or replace trigger append_only before update or delete on posting
    for each row execute function refuse_posting_change();

grant select on archived_text, full_posting to loyalty_app;
