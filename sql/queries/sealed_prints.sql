update member m set fingerprint = n.fingerprint
from unnest($1::bigint[], $2::bytea[]) as n (account, fingerprint)
where m.account = n.account
