-- Cuts the accounts of a shard, those that went into them wherever these lie, into ranges of about $2 postings each.
-- $1 shard.
with owned as (
    select a.account, a.number + coalesce((
        select sum(m.number) from account m where m.merged_into = a.account), 0) as postings
    from account a where a.shard = $1::smallint and a.merged_into is null
), counted as (
    select o.account, sum(o.postings + 1) over (order by o.account) / $2::integer as part from owned o
)
select min(c.account) as first, max(c.account) as last from counted c group by c.part order by 1
