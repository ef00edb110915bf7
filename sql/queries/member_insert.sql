insert into member (account, shard, member_id, enrolled_at, channel, fingerprint, created_at)
select n.account, n.shard, n.member_id, n.enrolled_at, n.channel, n.fingerprint, ledger_now()
from unnest($1::bigint[], $2::smallint[], $3::text[], $4::timestamptz[], $5::text[], $6::bytea[])
    as n (account, shard, member_id, enrolled_at, channel, fingerprint)
order by n.member_id
on conflict do nothing
returning account
