-- Cuts the accounts of a shard, those that went into them wherever these lie, into ranges of about $2 postings each.
-- $1 shard.
with gone as (
    select a.merged_into as account, sum(a.number) as postings from account a
    where a.merged_into is not null group by a.merged_into
), owned as (
    select a.account, a.number + coalesce(g.postings, 0) as postings
    from account a left join gone g on g.account = a.account
    where a.shard = $1::smallint and a.merged_into is null
), counted as (
    select o.account, (sum(o.postings + 1) over (order by o.account))::bigint / $2::integer as part from owned o
)
select min(c.account) as first, max(c.account) as last from counted c group by c.part order by 1
