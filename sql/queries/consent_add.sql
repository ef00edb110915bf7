insert into consent (account, purpose, granted, at, source, recorded_at)
values ($1::bigint, $2::text, $3::boolean, $4::timestamptz, $5::text, $6::timestamptz)
