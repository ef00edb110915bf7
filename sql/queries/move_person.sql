-- What is known of the person behind account $1 and not of the one behind $2 goes over.
insert into person as p (account, name, name_hash, birthday)
select $2::bigint, o.name, o.name_hash, o.birthday from person o where o.account = $1::bigint
on conflict (account) do update set
    name = coalesce(p.name, excluded.name),
    name_hash = case when p.name is null then excluded.name_hash else p.name_hash end,
    birthday = coalesce(p.birthday, excluded.birthday)
