-- What an account used of limited rules, each day and in all. $1 shard, $2 account.
select rule, day, times, points from counter where shard = $1::smallint and account = $2
