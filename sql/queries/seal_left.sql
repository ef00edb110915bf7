-- Whether anything is sealed with another secret than $1.
select exists (select from identifier where substr(sealed, 1, 4) <> $1::bytea)
    or exists (select from person where substr(name, 1, 4) <> $1::bytea or substr(birthday, 1, 4) <> $1::bytea)
    or exists (select from birthday_pin where substr(birthday, 1, 4) <> $1::bytea)
    or exists (select from member where substr(fingerprint, 1, 4) <> $1::bytea)
