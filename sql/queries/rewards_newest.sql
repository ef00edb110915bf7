-- The newest version of rewards, with their stock. $1 reward ids; null: all.
select distinct on (r.reward_id) r.reward_id, r.version, r.terms, r.recorded_at, coalesce(s.units, 0) as stock
from reward_version r
left join reward_stock s on s.reward_id = r.reward_id
where $1::text[] is null or r.reward_id = any ($1::text[])
order by r.reward_id, r.version desc
