-- What the program accounts gave and took so far, and how many members there are.
select
    (select coalesce(jsonb_object_agg(counter, points), '{}')::text from
        (select counter::text, sum(points)::bigint as points from entry group by counter) e) as by_counter,
    (select count(*) from account where status in ('active', 'blocked')) as members
