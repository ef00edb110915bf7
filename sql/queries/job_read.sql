select job_id, kind, status, through, slot, dry_run, progress, counts, detail, result, created_at, updated_at
from job where job_id = $1::text
