-- The triggers that refuse to change or delete immutable rows are there and on.
select null::bigint as account, t.name as "table", format('trigger=%s', w.name) as key,
       case when g.tgname is null then 'the trigger that keeps the table append-only is missing'
            else 'the trigger that keeps the table append-only is off' end as message
from unnest(array['posting', 'entry', 'lot', 'lot_use', 'tier_change', 'program_version', 'act', 'consent',
                  'reward_version', 'stock_move', 'voucher', 'voucher_end']) t (name)
cross join (values ('append_only', 1 + 2 + 8 + 16), ('append_only_truncate', 2 + 32)) w (name, type)
left join pg_trigger g on g.tgrelid = to_regclass('loyalty.' || t.name) and g.tgname = w.name
    and g.tgtype = w.type
    and g.tgfoid = case when t.name = 'consent' and w.name = 'append_only'
                        then to_regprocedure('loyalty.refuse_consent_change()')
                        else to_regprocedure('loyalty.refuse_change()') end
where g.tgname is null or g.tgenabled not in ('O', 'A')
