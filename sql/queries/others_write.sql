-- Whether connections to this database other than $1 and this one are writing at this moment.
select exists (
    select from pg_stat_activity
    where datname = current_database() and backend_xid is not null
        and pid <> pg_backend_pid() and pid <> all ($1::integer[]))
