-- Members by identifiers ($1 schemes, $2 hashes, of which $3 must mean the member) and by their own name (one of the
-- hashes $4), behind the account $5, at most $6, oldest accounts first.
select
    m.account, m.shard, m.member_id, m.enrolled_at, p.name, p.birthday,
    a.status::text as status, a.tier, a.tier_verdict_at <= ledger_now() as verdict_due,
    n.schemes, n.sealed,
    null::text as merged_into
from member m
join account a on a.shard = m.shard and a.account = m.account
left join person p on p.account = m.account
cross join lateral (
    select coalesce(array_agg(i.scheme), '{}') as schemes, coalesce(array_agg(i.sealed), '{}') as sealed
    from identifier i where i.account = m.account and i.scheme <> 'id'
) n
where m.account > $5::bigint
  and a.status in ('active', 'blocked')
  and (
      $3::int = 0
      or m.account in (
          select i.account
          from identifier i
          join unnest($1::text[], $2::text[]) as wanted (scheme, value) using (scheme, value)
          group by i.account
          having count(*) = $3::int
      )
  )
  and ($4::text[] is null or m.account in (select o.account from person o where o.name_hash = any ($4)))
order by m.account
limit $6::int
