"""Codes of vouchers: 80 random bits, in letters and digits that nobody mistakes for one another.

Source: Crockford's base 32, without check symbol.
"""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS = 16
_GROUP = 4
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code() -> str:
    """A code that nobody can guess: `7K3M-9QWX-0ABC-DEFG`."""
    return _grouped("".join(secrets.choice(ALPHABET) for _ in range(SYMBOLS)))


def read_code(typed: str) -> str | None:
    """The code that somebody typed, in its one form; case, spaces and hyphens do not matter. None: it cannot be one."""
    plain = typed.upper().translate(_READ_AS)
    if len(plain) != SYMBOLS or not set(plain) <= set(ALPHABET):
        return None
    return _grouped(plain)


def _grouped(plain: str) -> str:
    return "-".join(plain[start : start + _GROUP] for start in range(0, SYMBOLS, _GROUP))
