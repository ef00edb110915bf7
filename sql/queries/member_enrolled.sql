-- Who enrolled as these accounts, or as one that was merged into them; $2: who enrolled under these member_ids.
select m.account, m.shard, m.member_id, m.fingerprint, a.merged_into
from member m
join account a on a.shard = m.shard and a.account = m.account
where m.account = any ($1::bigint[])
   or m.member_id = any ($2::text[])
   or m.account in (select o.account from account o where o.merged_into = any ($1::bigint[]))
