"""Settings: read once from the environment, checked whole, told clearly when wrong.

Source: DESIGN.md section 10.
"""

import base64
import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from loyalty.rates import parse_rates
from loyalty.schedule import USUAL, parse_schedule

PREFIX = "LOYALTY_"
TEST_PREFIX = "LOYALTY_TEST_"
SECRET_BYTES = 32

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]


class SettingsError(Exception):
    """A variable has a value that cannot be used. `name` is the variable, `expected` what it should be."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"{name} should be {expected}")
        self.name = name
        self.expected = expected


class Settings(Struct, frozen=True, kw_only=True):
    """How this process runs. None in `database_url` means the embedded Postgres, in `redis_url` no Redis."""

    database_url: str | None = None
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    program: Path | None = None
    admin_key: str | None = None
    secret_keys: tuple[bytes, ...] = ()
    sandbox: bool = False
    schedule: str = USUAL
    rate_limit: str = ""
    drain_seconds: int = 0
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    def __repr__(self) -> str:
        """Without what is secret, as this ends up in logs."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("database_url", "redis_url", "admin_key", "secret_keys"):
            shown[name] = "…" if shown[name] else None
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Variable(Struct, frozen=True):
    """One line of the help: the variable's full name, its default as text, and its meaning."""

    name: str
    default: str
    meaning: str


class _Rule(Struct, frozen=True):
    field: str
    meaning: str
    expected: str
    parse: Callable[[str], Any]
    default: str = ""
    secret: bool = False


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environment` (that of the process by default). A variable that is empty counts as not
    set.

    Raises:
        SettingsError: the first variable with a wrong value. Values that may hold a password are not
            repeated.
    """
    given = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for rule in _RULES:
        name = _name(rule.field)
        text = given.get(name, "").strip()
        if not text:
            continue
        try:
            values[rule.field] = rule.parse(text)
        except ValueError:
            raise SettingsError(name, rule.expected + ("" if rule.secret else f", not {text!r}")) from None
    return Settings(**values)


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each `LOYALTY_…` variable that nothing reads, with the name that was probably meant.

    To be shown as warnings, not errors: a cluster may set variables of that name for reasons of its own
        (Kubernetes
    does for a service called loyalty).
    """
    given = os.environ if environment is None else environment
    known = [variable.name.removeprefix(PREFIX) for variable in VARIABLES]
    sentences = []
    for name in sorted(given):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and own not in known:
            near = difflib.get_close_matches(own, known, n=1)
            sentences.append(f"{name} is not a setting" + (f"; is {PREFIX}{near[0]} meant?" if near else ""))
    return sentences


def _name(field: str) -> str:
    return PREFIX + field.upper()


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(text)
        return text.lower()

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(text)
        return text

    return parse


def _flag(text: str) -> bool:
    return {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }[_one_of("1", "true", "yes", "on", "0", "false", "no", "off")(text)]


def _key(text: str) -> str:
    if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(text)
    return text


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Secrets from their spelling: 32 bytes each in Base64, with commas between them. Raises ValueError."""
    found = tuple(base64.b64decode(one.strip(), validate=True) for one in text.split(","))
    if any(len(one) != SECRET_BYTES for one in found):
        raise ValueError(f"a secret has {SECRET_BYTES} bytes")
    return found


def write_secrets(found: tuple[bytes, ...]) -> str:
    """The reverse of `read_secrets`."""
    return ",".join(base64.b64encode(one).decode() for one in found)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError(text)
    return path


def _rates(text: str) -> str:
    parse_rates(text)
    return text


def _schedule(text: str) -> str:
    parse_schedule(text)
    return text


_RULES = (
    _Rule(
        "database_url",
        "PostgreSQL 15 or newer, one program a database: postgresql://user:password@host/name",
        "a URL like postgresql://user:password@host/name",
        _url("postgresql", "postgres"),
        "an embedded one in ./.loyalty",
        secret=True,
    ),
    _Rule(
        "redis_url",
        "Redis, for speed only: redis://host:6379/0",
        "a URL like redis://host:6379/0",
        _url("redis", "rediss", "unix"),
        "none",
        secret=True,
    ),
    _Rule("host", "address to listen on; 0.0.0.0 for all", "an address or a host's name", str, "127.0.0.1"),
    _Rule(
        "port", "port to listen on; 0 takes a free one", "a number from 0 to 65535", _whole(0, 65535), "8080"
    ),
    _Rule("workers", "server processes", "a number from 1 to 64", _whole(1, 64), "1"),
    _Rule(
        "program",
        "program file, applied at the first start",
        "a file that exists",
        _file,
        "a starter program",
    ),
    _Rule(
        "admin_key",
        "accepted as an API key with the role admin",
        "8 or more printable ASCII characters without spaces",
        _key,
        "none",
        secret=True,
    ),
    _Rule(
        "secret_keys",
        "seals personal data and signs members' tokens; made by `loyalty privacy new-key`, newest first, with commas",
        "one or more secrets as `loyalty privacy new-key` makes them, with commas between them",
        read_secrets,
        "one kept in ./.loyalty; with LOYALTY_DATABASE_URL it must be set",
        secret=True,
    ),
    _Rule(
        "sandbox", "1: the clock can be set, for trying out; never with real members", "1 or 0", _flag, "0"
    ),
    _Rule(
        "schedule",
        "what runs by itself: daily at a time of the program's zone, or every so many minutes; off: nothing",
        f"a list like {USUAL}, or off",
        _schedule,
        USUAL,
    ),
    _Rule(
        "rate_limit",
        "requests a second for each key of a role: pos=200/s,eshop=500/s; over all servers with Redis, else for each",
        "a list like pos=200/s,eshop=500/s",
        _rates,
        "none",
    ),
    _Rule(
        "drain_seconds",
        "how long a server that was asked to stop (SIGTERM) is not ready but still serves, for a balancer to notice",
        "a number from 0 to 300",
        _whole(0, 300),
        "0",
    ),
    _Rule(
        "log_level",
        "debug, info, warning or error",
        "debug, info, warning or error",
        _one_of("debug", "info", "warning", "error"),
        "info",
    ),
    _Rule(
        "log_format",
        "console or json; auto: console on a terminal",
        "auto, console or json",
        _one_of("auto", "console", "json"),
        "auto",
    ),
)

VARIABLES: tuple[Variable, ...] = tuple(Variable(_name(r.field), r.default, r.meaning) for r in _RULES)
"""All settings, in the order in which the help lists them."""
