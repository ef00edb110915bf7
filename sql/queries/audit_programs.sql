-- The program's versions, oldest first.
select version, source, format, recorded_at from program_version order by version
