insert into act (key_id, key_name, what, target, details, request_id)
values ($1::text, $2::text, $3::text, $4::text, $5::text::jsonb, $6::text)
