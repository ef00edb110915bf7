-- One adjustment that grants a lot to each account of a range, as the engine would have posted it a day ago: posting
-- (chained by hash), entry, lot, open lot, head. :points a lot, :life from now to its end, :first and :last account,
-- :part of :parts (the accounts of one connection).
with old as (
    select a.*, date_trunc('hour', now()) - interval '400 days' + (a.number * interval '1 minute') as at,
           date_trunc('hour', now()) + interval :life as expires_at,
           'load-' || a.account || '-' || a.number as id
    from account a where a.shard = 0 and a.account between :first and :last and a.account % :parts = :part
), said as (
    select o.*, sha256(convert_to(o.id, 'UTF8')) as fingerprint,
           format('{"points":%s,"reason":"brought along"}', :points) as facts,
           convert_to(format('{"adjustment_id":"%s","points":%s}', o.id, :points), 'UTF8') as answer,
           (extract(epoch from o.at) * 1000000)::bigint as at_us,
           (extract(epoch from o.expires_at) * 1000000)::bigint as expires_us
    from old o
), chained as (
    select s.*, sha256(convert_to(concat_ws(E'\n',
        format('1|%s|%s|%s|adjustment|%s||%s|%s|1||0|%s|%s|%s', encode(s.hash, 'hex'), s.account, s.number + 1, s.id,
               s.at_us, s.at_us, encode(s.fingerprint, 'hex'), encode(sha256(convert_to(s.facts, 'UTF8')), 'hex'),
               encode(sha256(s.answer), 'hex')),
        format('e|%s|adjust|%s|%s|%s|%s', s.seq + 1, :points, s.balance + :points, s.at_us, s.at_us),
        format('l|%s|%s|%s|%s|%s|%s|0||%s|%s', s.lots + 1, s.lots + 1, :points, s.at_us, s.at_us, s.expires_us,
               s.at_us, s.at_us)), 'UTF8')) as next_hash
    from said s
), posted as (
    insert into posting (shard, account, number, kind, id, occurred_at, recorded_at, program_version, fingerprint,
                         facts, answer, hash)
    select 0, account, number + 1, 'adjustment', id, at, at, 1, fingerprint, facts, answer, next_hash from chained
), entered as (
    insert into entry (shard, account, seq, posting, kind, counter, points, balance_after, occurred_at, recorded_at)
    select 0, account, seq + 1, number + 1, 'adjust', 'adjusted', :points, balance + :points, at, at from chained
), granted as (
    insert into lot (shard, account, lot, posting, origin, points, earned_at, spendable_from, expires_at, idle,
                     occurred_at, recorded_at)
    select 0, account, lots + 1, number + 1, lots + 1, :points, at, at, expires_at, false, at, at from chained
), opened as (
    insert into open_lot (shard, account, lot, origin, remaining, earned_at, spendable_from, expires_at, idle)
    select 0, account, lots + 1, lots + 1, :points, at, at, expires_at, false from chained
)
update account a set number = c.number + 1, seq = c.seq + 1, lots = c.lots + 1, balance = c.balance + :points,
    hash = c.next_hash, recorded_at = c.at, due_at = least(a.due_at, c.expires_at)
from chained c where a.shard = 0 and a.account = c.account;
