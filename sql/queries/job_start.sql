-- Makes a job unless one of its kind is under way, and returns whichever it is, with what that was asked. A slot that was
-- begun already makes none.
with made as (
    insert into job (job_id, kind, status, through, dry_run, request, slot)
    values ($1::text, $2::text, 'queued', $3::timestamptz, $4::boolean, $5::text, $6::timestamptz)
    on conflict do nothing
    returning job_id
)
select job_id, true as made, $5::text as request from made
union all
select job_id, false, request from job
where kind = $2 and status in ('queued', 'running') and not exists (select from made)
