-- $2, $5: whether name ($3, its hash $4) and birthday ($6) change.
insert into person as p (account, name, name_hash, birthday)
values ($1::bigint, $3::bytea, $4::text, $6::bytea)
on conflict (account) do update set
    name = case when $2::boolean then excluded.name else p.name end,
    name_hash = case when $2::boolean then excluded.name_hash else p.name_hash end,
    birthday = case when $5::boolean then excluded.birthday else p.birthday end
