-- The program's versions, oldest first.
select version, effective_from, source, format, author, note, recorded_at, hash from program_version order by version
