-- Adds a version of the program.
insert into program_version (version, effective_from, source, format, author, note, recorded_at, hash)
values ($1, $2, $3, $4, $5, $6, $7, $8)
