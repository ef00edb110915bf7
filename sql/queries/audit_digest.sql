-- The last hash of every account that has a posting, for the digest of the whole ledger.
select a.account, a.hash from account a where a.number > 0 order by a.account
