select version, effective_from, source, format, author, note, recorded_at from program_version order by version
