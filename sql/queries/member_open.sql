-- $1 new, empty accounts. The function is called once a row: a set in FROM would be computed once and read again.
select (opened.o).shard as shard, (opened.o).account as account
from (select open_account() as o from generate_series(1, $1::int) offset 0) as opened
