-- A backtest is a job that answers with a report. What it was asked is kept beside, to tell one backtest from another.

alter table job drop constraint job_kind_check;
alter table job add constraint job_kind_check check (kind in ('expiry', 'tier-review', 'backtest'));
alter table job add column request text;
alter table job add column result text;
