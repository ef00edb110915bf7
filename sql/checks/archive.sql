-- The texts in the archive are of postings that have none themselves.
select a.account, 'archived_text' as "table", format('number=%s', a.number) as key,
       case when p.number is null then 'belongs to no posting' else 'stands in its posting too' end as message
from loyalty.archived_text a
left join loyalty.posting p on p.shard = a.shard and p.account = a.account and p.number = a.number
where p.number is null or p.facts is not null or p.answer is not null
