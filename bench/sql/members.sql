-- Members m00000001 and on, as enrolment leaves them. :members is how many.
with made as (
    insert into account (shard, account)
    select 0, nextval('account_number') from generate_series(1, :members)
    returning account
), member as (
    insert into member (account, shard, member_id, enrolled_at, channel, created_at)
    select account, 0, 'm' || lpad(row_number() over (order by account)::text, 8, '0'), now(), 'pos', now() from made
    returning account, member_id
)
insert into identifier (scheme, value, shard, account)
select 'id', member_id, 0, account from member;
