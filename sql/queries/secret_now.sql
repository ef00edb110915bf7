-- Which secret seals personal data now; null before the first.
select secret_id from setting
