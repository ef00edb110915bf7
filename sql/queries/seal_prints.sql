-- Fingerprints of the enrolments of the accounts $1 to $2 that are sealed with another secret than $3.
select account, fingerprint from member
where account between $1::bigint and $2::bigint and substr(fingerprint, 1, 4) <> $3::bytea
for no key update skip locked
