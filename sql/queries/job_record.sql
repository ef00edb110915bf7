-- A run that was made elsewhere than in a server, once it is over. It began $6 seconds ago.
insert into job (job_id, kind, status, through, dry_run, progress, counts, created_at)
values ($1::text, $2::text, 'done', $3::timestamptz, $4::boolean, 1, $5::jsonb,
    clock_timestamp() - make_interval(secs => $6::double precision))
