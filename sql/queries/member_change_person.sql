-- $2, $4: whether name ($3) and birthday ($5) change.
insert into person as p (account, name, birthday)
values ($1::bigint, $3::text, $5::date)
on conflict (account) do update set
    name = case when $2::boolean then excluded.name else p.name end,
    birthday = case when $4::boolean then excluded.birthday else p.birthday end
