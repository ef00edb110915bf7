-- What became of the claims made from $1 up to and without $2 (null: no bound), by reward and version, as it stands at $3.
select v.reward_id, r.terms, count(*) as claims,
       count(*) filter (where e.ending = 'used') as used,
       count(*) filter (where e.ending = 'cancelled') as cancelled,
       count(*) filter (where e.code is null and v.valid_until <= $3::timestamptz) as expired
from voucher v
join reward_version r on r.reward_id = v.reward_id and r.version = v.version
left join voucher_end e on e.code = v.code
where ($1::timestamptz is null or v.recorded_at >= $1::timestamptz)
    and ($2::timestamptz is null or v.recorded_at < $2::timestamptz)
group by v.reward_id, v.version, r.terms
