-- Cuts the accounts of a shard into ranges of about $2 rows each; a range ends where the next begins.
with counted as (
    select a.account, sum(a.number + a.seq + a.lots + 1) over (order by a.account) / $2 as part
    from account a where a.shard = $1
)
select min(c.account) as first, count(*) as accounts from counted c group by c.part order by 1
