-- Cuts the accounts of a shard into ranges of about $2 postings each. $1 shard.
with counted as (
    select a.account, a.number, sum(a.number) over (order by a.account) / $2::integer as part
    from account a where a.shard = $1::smallint
)
select min(c.account) as first, max(c.account) as last, sum(c.number) as postings from counted c group by c.part order by 1
