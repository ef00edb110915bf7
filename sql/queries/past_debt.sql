-- Debt made and repaid by postings $3: what a clawback took beyond the lots that it used. $1 shard, $2 account, $4 as of.
select
    coalesce((select sum(-e.points) from entry e where e.shard = $1::smallint and e.account = $2::bigint
              and e.kind = 'clawback' and e.posting = any ($3::integer[])), 0)
    - coalesce((select sum(u.points) from lot_use u where u.shard = $1::smallint and u.account = $2::bigint
                and u.purpose = 'clawback' and u.posting = any ($3::integer[])), 0)
    - coalesce((select sum(u.points) from lot_use u
                join lot l on l.shard = u.shard and l.account = u.account and l.lot = u.lot
                where u.shard = $1::smallint and u.account = $2::bigint and u.purpose = 'debt'
                and u.posting = any ($3::integer[])
                and greatest(u.occurred_at, l.occurred_at) <= $4::timestamptz), 0) as debt
