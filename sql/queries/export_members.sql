-- The member_id of an account, first, and of those merged into it. $1 shard, $2 account.
select m.member_id
from family($1::smallint, array[$2::bigint]) f
join member m on m.account = f.account
order by f.account <> f.owner, m.account
