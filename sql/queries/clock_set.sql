-- Moves the clock to $1 and returns it; no row when postings lie behind it and $1 is not ahead of it.
update setting set clock_offset = $1::timestamptz - clock_timestamp()
where $1::timestamptz >= ledger_now() or not exists (select 1 from posting)
returning ledger_now()
