-- Members by identifiers ($1 schemes, $2 values: all must mean the member) and by the beginning of the name ($3),
-- behind the account $4, at most $5, oldest accounts first.
select
    m.account, m.shard, m.member_id, m.enrolled_at, p.name, p.birthday,
    a.status::text as status, a.tier, a.tier_verdict_at <= ledger_now() as verdict_due,
    (
        select coalesce(array_agg(i.scheme || ':' || i.value order by
            array_position(array['phone', 'card', 'email', 'ext'], i.scheme), i.value), '{}')
        from identifier i where i.account = m.account and i.scheme <> 'id'
    ) as identifiers,
    null::text as merged_into
from member m
join account a on a.shard = m.shard and a.account = m.account
left join person p on p.account = m.account
where m.account > $4::bigint
  and a.status in ('active', 'blocked')
  and (
      cardinality($1::text[]) = 0
      or m.account in (
          select i.account
          from identifier i
          join unnest($1::text[], $2::text[]) as wanted (scheme, value) using (scheme, value)
          group by i.account
          having count(*) = cardinality($1::text[])
      )
  )
  and ($3::text is null or starts_with(lower(p.name), lower($3::text)))
order by m.account
limit $5::int
