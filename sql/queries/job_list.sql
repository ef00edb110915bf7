-- Jobs, newest first: of kind $1 (null: all), made before the job $2 (null: from the newest), at most $3.
select job_id, kind, status, through, slot, dry_run, progress, counts, detail, created_at, updated_at
from job
where ($1::text is null or kind = $1)
    and ($2::text is null or (created_at, job_id) < (select made.created_at, made.job_id from job made where made.job_id = $2))
order by created_at desc, job_id desc
limit $3::integer
