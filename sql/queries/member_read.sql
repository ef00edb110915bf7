-- One member. $1 null: the one called by the member_id of $2 itself, also when it was merged away; else whoever an
-- identifier of scheme $1 and one of the hashes $2 means now.
select
    m.account, m.shard, m.member_id, m.enrolled_at, p.name, p.birthday,
    a.status::text as status, a.tier, a.tier_verdict_at <= ledger_now() as verdict_due,
    n.schemes, n.sealed,
    into_member.member_id as merged_into
from member m
join account a on a.shard = m.shard and a.account = m.account
left join person p on p.account = m.account
cross join lateral (
    select coalesce(array_agg(i.scheme), '{}') as schemes, coalesce(array_agg(i.sealed), '{}') as sealed
    from identifier i where i.account = m.account and i.scheme <> 'id'
) n
left join member into_member on into_member.account = a.merged_into
where a.status <> 'erased'
  and case when $1::text is null then m.member_id = ($2::text[])[1]
      else m.account = (select i.account from identifier i where i.scheme = $1 and i.value = any ($2)) end
