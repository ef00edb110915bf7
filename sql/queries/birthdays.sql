select account, birthday from person where account = any ($1::bigint[]) and birthday is not null
