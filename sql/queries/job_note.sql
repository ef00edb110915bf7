-- A sign of life, and how far the job is. A job that was given up stays so.
update job set status = $2::text, progress = $3::double precision, counts = $4::jsonb, detail = $5::text,
    result = coalesce($6::text, result), updated_at = clock_timestamp()
where job_id = $1::text and status in ('queued', 'running')
returning job_id
