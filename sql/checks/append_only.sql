-- The triggers that refuse to change or delete immutable rows are there and on.
select null::bigint as account, t.name as "table", format('trigger=%s', w.name) as key,
       case when g.tgname is null then 'the trigger that keeps the table append-only is missing'
            else 'the trigger that keeps the table append-only is off' end as message
from unnest(array['posting', 'archived_text', 'entry', 'lot', 'lot_use', 'tier_change', 'program_version', 'act',
                  'consent', 'reward_version', 'stock_move', 'voucher', 'voucher_end']) t (name)
cross join (values ('append_only', 1 + 2 + 8 + 16), ('append_only_truncate', 2 + 32)) w (name, type)
left join pg_trigger g on g.tgrelid = to_regclass('loyalty.' || t.name) and g.tgname = w.name
    and g.tgtype = w.type
    and g.tgfoid = to_regprocedure(case when w.name = 'append_only_truncate' then 'loyalty.refuse_change()'
                                      when t.name = 'consent' then 'loyalty.refuse_consent_change()'
                                      when t.name = 'posting' then 'loyalty.refuse_posting_change()'
                                      else 'loyalty.refuse_change()' end)
where g.tgname is null or g.tgenabled not in ('O', 'A')
