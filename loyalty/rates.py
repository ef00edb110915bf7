"""How often a key may call: so many requests a second for each key of a role, a second's worth of them at once.

Pure: the time is an argument. The same rule runs in Redis (`loyalty/api/limiter.py`), where all servers share it.
"""

import re

RATE_ROLES = ("pos", "eshop", "ops", "admin", "member")
_RATE = re.compile(r"([1-9]\d{0,5})/s")


def parse_rates(text: str) -> dict[str, int]:
    """`pos=200/s,eshop=500/s`: requests a second for each key of the role; a role not named has no limit.

    Raises ValueError for anything else. An empty text means no limits.
    """
    rates: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        role, _, rate = part.partition("=")
        role, found = role.strip(), _RATE.fullmatch(rate.strip())
        if role not in RATE_ROLES or role in rates or found is None:
            raise ValueError(text)
        rates[role] = int(found[1])
    return rates


class Bucket:
    """What one key has left: the generic cell rate algorithm, one number a key (ITU-T I.371).

    `full_at` is when the key, left alone, has its whole second's worth again, in seconds of the caller's clock.
    """

    __slots__ = ("full_at",)

    def __init__(self) -> None:
        self.full_at = 0.0

    def take(self, now: float, rate: int, asked: int) -> tuple[int, float]:
        """Take up to `asked` requests. Returns how many are granted, and if none, the seconds until one is."""
        start = max(self.full_at, now)
        free = int((now + 1.0 - start) * rate + 1e-6)
        granted = min(asked, free)
        if granted <= 0:
            return 0, max(start + 1.0 / rate - now - 1.0, 0.001)
        self.full_at = start + granted / rate
        return granted, 0.0
