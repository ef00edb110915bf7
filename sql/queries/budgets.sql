select rule, points from budget where shard = $1::smallint
