-- Every row lies in the shard that its account belongs to.
select a.account, 'account' as "table", '' as key, format('lies in shard %s', a.shard) as message
from loyalty.account a, loyalty.setting s
where a.shard <> abs(hashint8extended(a.account, 0)) % s.shards
union all
select r.account, r.name, format('shard=%s', r.shard), 'lies in a shard that the database does not have'
from loyalty.setting s
cross join lateral (
    select 'posting' as name, shard, account from loyalty.posting where shard < 0 or shard >= s.shards
    union all select 'entry', shard, account from loyalty.entry where shard < 0 or shard >= s.shards
    union all select 'lot', shard, account from loyalty.lot where shard < 0 or shard >= s.shards
    union all select 'lot_use', shard, account from loyalty.lot_use where shard < 0 or shard >= s.shards
    union all select 'tier_change', shard, account from loyalty.tier_change where shard < 0 or shard >= s.shards
    union all select 'open_lot', shard, account from loyalty.open_lot where shard < 0 or shard >= s.shards
    union all select 'open_hold', shard, account from loyalty.open_hold where shard < 0 or shard >= s.shards
) r
