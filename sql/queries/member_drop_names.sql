-- Takes the identifiers of the schemes $2 away from the account $1, but those that stay: $3 as `scheme:hash`.
delete from identifier
where account = $1::bigint and scheme <> 'id'
  and scheme = any ($2::text[])
  and (scheme || ':' || value) <> all ($3::text[])
