-- The member that a name ($1 scheme, $2 its hashes) means now, its directory row locked against other changes.
select m.account, m.shard, m.member_id
from member m
join account a on a.shard = m.shard and a.account = m.account
where m.account = (select i.account from identifier i where i.scheme = $1::text and i.value = any ($2::text[]))
  and a.status in ('active', 'blocked')
for no key update of m
