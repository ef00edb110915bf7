"""Settings: defaults, values, and what is said when one is wrong."""

from pathlib import Path

import pytest

from loyalty.settings import VARIABLES, Settings, SettingsError, read_settings, unknown_variables
from tests.vault import SECRET, SECRET_KEYS


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert (Settings().host, Settings().port, Settings().workers) == ("127.0.0.1", 8080, 1)


def test_a_variable_that_is_empty_counts_as_not_set() -> None:
    assert read_settings({"LOYALTY_PORT": "", "LOYALTY_REDIS_URL": "  "}) == Settings()


def test_every_variable_is_read(tmp_path: Path) -> None:
    program = tmp_path / "program.toml"
    program.write_text("")
    given = {
        "LOYALTY_DATABASE_URL": "postgresql://u:p@db/loyalty",
        "LOYALTY_REDIS_URL": "redis://cache:6379/0",
        "LOYALTY_HOST": "0.0.0.0",
        "LOYALTY_PORT": "9000",
        "LOYALTY_WORKERS": "4",
        "LOYALTY_PROGRAM": str(program),
        "LOYALTY_ADMIN_KEY": "a-long-secret",
        "LOYALTY_SECRET_KEYS": f"{SECRET_KEYS}, {SECRET_KEYS}",
        "LOYALTY_SANDBOX": "yes",
        "LOYALTY_RATE_LIMIT": "pos=200/s,eshop=500/s",
        "LOYALTY_DRAIN_SECONDS": "5",
        "LOYALTY_SCHEDULE": "expiry=02:30,hold-timeouts=10m",
        "LOYALTY_LOG_LEVEL": "DEBUG",
        "LOYALTY_LOG_FORMAT": "json",
    }
    assert set(given) == {variable.name for variable in VARIABLES}
    assert read_settings(given) == Settings(
        database_url="postgresql://u:p@db/loyalty",
        redis_url="redis://cache:6379/0",
        host="0.0.0.0",
        port=9000,
        workers=4,
        program=program,
        admin_key="a-long-secret",
        secret_keys=(SECRET, SECRET),
        sandbox=True,
        drain_seconds=5,
        rate_limit="pos=200/s,eshop=500/s",
        schedule="expiry=02:30,hold-timeouts=10m",
        log_level="debug",
        log_format="json",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOYALTY_PORT", "http", "LOYALTY_PORT should be a number from 0 to 65535, not 'http'"),
        ("LOYALTY_PORT", "70000", "from 0 to 65535"),
        ("LOYALTY_WORKERS", "0", "from 1 to 64"),
        ("LOYALTY_SANDBOX", "maybe", "LOYALTY_SANDBOX should be 1 or 0, not 'maybe'"),
        ("LOYALTY_RATE_LIMIT", "till=5/s", "a list like pos=200/s,eshop=500/s, not 'till=5/s'"),
        ("LOYALTY_RATE_LIMIT", "pos=0/s", "a list like"),
        ("LOYALTY_RATE_LIMIT", "pos=5/s,pos=6/s", "a list like"),
        ("LOYALTY_SCHEDULE", "expiry=25:00", "or off, not 'expiry=25:00'"),
        ("LOYALTY_SCHEDULE", "expire=03:00", "a list like expiry=03:00"),
        ("LOYALTY_SCHEDULE", "expiry=03:00,expiry=04:00", "a list like"),
        ("LOYALTY_SCHEDULE", "hold-timeouts=0m", "a list like"),
        ("LOYALTY_LOG_LEVEL", "loud", "debug, info, warning or error, not 'loud'"),
        ("LOYALTY_LOG_FORMAT", "xml", "auto, console or json"),
        ("LOYALTY_PROGRAM", "/no/such/file.toml", "a file that exists, not '/no/such/file.toml'"),
        ("LOYALTY_DATABASE_URL", "mysql://u:secret@db/x", "a URL like postgresql://"),
        ("LOYALTY_REDIS_URL", "cache:6379", "a URL like redis://"),
        ("LOYALTY_ADMIN_KEY", "short", "8 or more"),
        ("LOYALTY_ADMIN_KEY", "has a space in it", "without spaces"),
        ("LOYALTY_SECRET_KEYS", "c2hvcnQ=", "as `loyalty privacy new-key` makes them"),
        ("LOYALTY_SECRET_KEYS", "no Base64!", "as `loyalty privacy new-key` makes them"),
    ],
)
def test_a_wrong_value_is_told_with_the_name_and_what_it_should_be(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value})
    assert caught.value.name == name
    assert said in str(caught.value)


def test_what_is_secret_is_never_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"LOYALTY_DATABASE_URL": "mysql://u:secret@db/x"})
    assert "secret" not in str(caught.value)
    settings = read_settings(
        {
            "LOYALTY_DATABASE_URL": "postgresql://u:hidden@db/x",
            "LOYALTY_ADMIN_KEY": "hidden-hidden",
            "LOYALTY_SECRET_KEYS": SECRET_KEYS,
        }
    )
    assert "hidden" not in repr(settings)
    assert repr(SECRET) not in repr(settings)
    assert SECRET_KEYS not in repr(settings)


def test_a_misspelt_variable_is_told_with_the_name_that_was_meant() -> None:
    given = {"LOYALTY_DATABSE_URL": "x", "LOYALTY_TEST_DATABASE_URL": "x", "LOYALTY_PORT": "1", "HOME": "/"}
    assert unknown_variables(given) == [
        "LOYALTY_DATABSE_URL is not a setting; is LOYALTY_DATABASE_URL meant?"
    ]


def test_a_variable_unlike_any_is_told_too() -> None:
    assert unknown_variables({"LOYALTY_ZZZZZZ": "x"}) == ["LOYALTY_ZZZZZZ is not a setting"]
