-- Open lots of a range of accounts. Columns as loyalty/audit/rows.py lays them out.
select o.account, o.lot, o.origin, o.remaining, o.earned_at, o.spendable_from,
       o.idle, o.expires_at is null, coalesce(o.expires_at, 'epoch'), o.purchase_id
from open_lot o
where o.shard = $1 and o.account between $2 and $3
order by o.account, o.lot
