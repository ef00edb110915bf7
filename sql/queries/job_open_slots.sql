-- Of the kinds $1 those whose slot in $2 has to be begun: no run of it is under way or done, none failed within the last
-- $3 seconds, and no other job of its kind is under way.
select due.kind from unnest($1::text[], $2::timestamptz[]) as due (kind, slot)
where not exists (
    select from job
    where job.kind = due.kind and (
        job.status in ('queued', 'running')
        or (job.slot = due.slot and (
            job.status = 'done' or job.updated_at > clock_timestamp() - make_interval(secs => $3::double precision)))
    )
)
