-- The jobs of each kind: begun in the last day, by what became of them, and when one was last done.
select kind,
    count(*) filter (where recent and status = 'queued') as queued,
    count(*) filter (where recent and status = 'running') as running,
    count(*) filter (where recent and status = 'done') as done,
    count(*) filter (where recent and status = 'failed') as failed,
    max(updated_at) filter (where status = 'done' and not dry_run) as done_at
from job, lateral (select created_at > clock_timestamp() - interval '1 day') as age (recent)
group by kind
