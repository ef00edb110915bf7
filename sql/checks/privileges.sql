-- The application's role, and everybody, can write into the ledger only through its functions.
select null::bigint as account, t.name as "table", format('role=%s', r.name) as key,
       format('may %s', string_agg(lower(p.name), ', ' order by p.name)) as message
from unnest(array['posting', 'archived_text', 'entry', 'lot', 'lot_use', 'tier_change', 'program_version', 'act',
                  'consent', 'account', 'open_lot', 'open_hold', 'counter', 'budget',
                  'reward_version', 'stock_move', 'voucher', 'voucher_end', 'reward_stock']) t (name)
cross join (values ('loyalty_app'), ('public')) r (name)
cross join (values ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('TRIGGER')) p (name)
where has_table_privilege(r.name, 'loyalty.' || t.name, p.name)
    and not (t.name in ('program_version', 'act', 'consent', 'reward_version') and p.name = 'INSERT')
    and not (t.name = 'consent' and p.name = 'DELETE') -- its trigger asks whether the member was erased
group by t.name, r.name
union all
select null, c.table_name, format('role=%s column=%s', c.grantee, c.column_name), format('may %s', lower(c.privilege_type))
from information_schema.column_privileges c
where c.table_schema = 'loyalty' and c.grantee in ('loyalty_app', 'PUBLIC') and c.privilege_type = 'UPDATE'
    and c.table_name in ('posting', 'archived_text', 'entry', 'lot', 'lot_use', 'tier_change', 'program_version', 'act',
                         'consent', 'account', 'open_lot', 'open_hold', 'counter', 'budget',
                         'reward_version', 'stock_move', 'voucher', 'voucher_end', 'reward_stock')
    and not (c.table_name = 'account' and c.column_name = 'status')
