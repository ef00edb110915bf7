-- Vouchers with how they ended and whose they are now. $1 codes, $2 ids of claims, $3 accounts: one of them, the others
-- null. Newest first.
select v.code, v.claim_id, v.reward_id, v.version, r.terms, v.counted, v.valid_until, v.recorded_at,
       e.ending::text, e.use_id, e.purchase_id, e.recorded_at as ended_at, m.member_id
from voucher v
join reward_version r on r.reward_id = v.reward_id and r.version = v.version
join account a on a.shard = shard_of(v.account) and a.account = v.account
join member m on m.account = coalesce(a.merged_into, a.account)
left join voucher_end e on e.code = v.code
where v.code = any ($1::text[]) or v.claim_id = any ($2::text[]) or v.account = any ($3::bigint[])
order by v.recorded_at desc, v.claim_id
