-- Forgets scheduled runs that ended longer ago than $1.
delete from job
where slot is not null and status in ('done', 'failed') and created_at < clock_timestamp() - $1::interval
