-- Moves the texts of a range of accounts' old postings. $1 shard, $2 first, $3 last account, $4 recorded before, $5 at most.
select postings, bytes from archive_postings($1, $2, $3, $4, $5)
