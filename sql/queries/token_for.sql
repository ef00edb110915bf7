-- What the member behind an account is called, and which secret seals now. $1 account.
select m.member_id, s.secret_id from member m cross join setting s where m.account = $1::bigint
