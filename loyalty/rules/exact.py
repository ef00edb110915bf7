"""Exact numbers: integers where possible, else fractions, never a float (DESIGN.md section 4, Exactness).

Shares of one award are integers over one common `scale`; a share that does not fit it is a Fraction over it.
"""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import gcd

Exact = int | Fraction

_MOST_TEXTS = 4096


def exact_div(value: Exact, divisor: Exact) -> Exact:
    """`value / divisor`, an int when it comes out even."""
    if type(value) is int and type(divisor) is int:
        quotient, rest = divmod(value, divisor)
        return Fraction(value, divisor) if rest else quotient
    return simplest(Fraction(value) / divisor)


def exact_parts(values: Iterable[Exact], factor: Exact, divisor: Exact) -> list[Exact]:
    """`value * factor / divisor` of each."""
    parts = [value * factor for value in values]
    # Over the scale that a program's numbers share, its factors mostly come out even on every line.
    integers = type(divisor) is int and {type(part) for part in parts} == {int}
    if integers and gcd(*parts) % divisor == 0:  # type: ignore[arg-type]
        return [part // divisor for part in parts]
    return [exact_div(part, divisor) for part in parts]


def simplest(value: Exact) -> Exact:
    """The same number, as an int when it is whole."""
    if type(value) is not int and value.denominator == 1:
        return value.numerator
    return value


def exact_text(value: Exact) -> str:
    """A decimal where it ends (`12.9`, `115`), else a fraction (`10/3`)."""
    return _text(value.numerator, value.denominator)


class Texts(dict[Exact, str]):
    """The texts of numbers over one scale: `texts_over(100)[1290]` is `12.9`.

    Remembered, up to a bound: a shop has far fewer prices than lines.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self._scale = scale

    def __missing__(self, value: Exact) -> str:
        if len(self) >= _MOST_TEXTS:
            self.clear()
        text = self[value] = _scaled_text(value, self._scale)
        return text


@lru_cache(maxsize=64)
def texts_over(scale: int) -> Texts:
    """The texts over a scale; those of the scales asked for last are kept."""
    return Texts(scale)


def scaled_text(value: Exact, scale: int) -> str:
    """`exact_text` of `value / scale`."""
    return texts_over(scale)[value]


def _scaled_text(value: Exact, scale: int) -> str:
    """Without a Fraction on the way when both are integers."""
    if type(value) is not int:
        return exact_text(Fraction(value) / scale)
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    shape = _decimal_shape(scale)
    if shape is None or value < 0:
        common = gcd(value, scale)
        return _text(value // common, scale // common)
    decimals, factor = shape
    return f"{whole}.{rest * factor:0{decimals}d}".rstrip("0")


def _text(numerator: int, denominator: int) -> str:
    if denominator == 1:
        return str(numerator)
    shape = _decimal_shape(denominator)
    if shape is None:
        return f"{numerator}/{denominator}"
    decimals, factor = shape
    whole, rest = divmod(abs(numerator), denominator)
    return f"{'-' if numerator < 0 else ''}{whole}.{rest * factor:0{decimals}d}"


@lru_cache(maxsize=1024)
def _decimal_shape(denominator: int) -> tuple[int, int] | None:
    """Decimals that fractions of this denominator need, and the factor to them; None if they never end."""
    decimals, power = 1, 10
    while power % denominator:
        decimals += 1
        power *= 10
        # 2**n and 5**n divide 10**n: past that many decimals a foreign prime factor is in the way.
        if decimals > denominator.bit_length():
            return None
    return decimals, power // denominator
