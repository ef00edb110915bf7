-- Jobs whose server has given no sign of life for $1 seconds have failed.
update job set status = 'failed', updated_at = clock_timestamp(),
    detail = 'the server that ran it went away; start it again, it goes on where it stopped'
where status in ('queued', 'running') and updated_at < clock_timestamp() - make_interval(secs => $1::double precision)
