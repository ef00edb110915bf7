-- The account that a member's own account was merged into, if it was. $1 member_id.
select a.merged_into from member m join account a on a.shard = m.shard and a.account = m.account where m.member_id = $1
