-- The account that a member was enrolled with, merged since or not. $1 member_id.
select m.shard, m.account, i.member_id as merged_into
from member m
join account a on a.shard = m.shard and a.account = m.account
left join member i on i.account = a.merged_into
where m.member_id = $1 and a.status <> 'erased'
    and (a.merged_into is null or exists (select 1 from account t where t.shard = a.merged_shard and t.account = a.merged_into
                                          and t.status <> 'erased'))
