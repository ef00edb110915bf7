"""Every sentence that an explanation may carry. One place, so that a second language is one file."""


def limited(by: str, wanted: str, given: int) -> str:
    """A rule gave less than it asked for: `wanted` is exact, `given` whole points."""
    return f"limited by {by}: {wanted} wanted, {given} given"
