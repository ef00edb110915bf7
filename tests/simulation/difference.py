"""What is said when engine and model disagree."""

from typing import Any

from loyalty.errors import LoyaltyError

from .steps import brief


class Difference(Exception):
    """Engine and model disagree, or an invariant does not hold. `place`: the item of the batch, if one."""

    def __init__(
        self, message: str, place: int = 1_000_000, sort: str = "", member: str | None = None
    ) -> None:
        super().__init__(message)
        self.place, self.sort, self.member = place, sort, member


def both(
    what: Any,
    place: int,
    expected: Any,
    actual: Any,
    found: list[str] | None = None,
    member: str | None = None,
) -> Difference:
    """What the model expects of something, the item `place` of a batch, and what the engine gave instead."""
    if hasattr(actual, "body"):
        actual = actual.body.decode()
    elif isinstance(actual, LoyaltyError):
        actual = f"refused: {actual.code}: {actual} {actual.facts}"
    if isinstance(expected, dict):
        expected = {str(name): brief(one) for name, one in expected.items()}
    lines = [f"item {place}: {brief(what)}", *(f"  {one}" for one in found or [])]
    lines += [f"model:  {expected}", f"engine: {actual}"]
    sort = str(what).rsplit(" ", 1)[0] if isinstance(what, str) else type(what).__name__
    return Difference("\n".join(lines), 1_000_000 if member else place, sort, member)
