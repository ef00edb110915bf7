-- The hash of the newest version of the program, which the next one follows.
select hash from program_version order by version desc limit 1
