-- The archive is a kind of job. By itself: a backup that reads the jobs holds this up, and must not hold up tills with it.
alter table job drop constraint job_kind_check;
alter table job add constraint job_kind_check
    check (kind in ('expiry', 'tier-review', 'hold-timeouts', 'backtest', 'archive'));
