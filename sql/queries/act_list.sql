-- Acts before the act $1 (null: from the newest), newest first, at most $2.
select act_id, at, key_id, key_name, what, target, details::text as details, request_id
from act
where $1::bigint is null or act_id < $1
order by act_id desc
limit $2::int
