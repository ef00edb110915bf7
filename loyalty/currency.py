"""How many digits a currency's minor unit has (ISO 4217), to read amounts from files and to show them."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"
_DIGITS = {
    code: digits
    for digits, codes in ((0, _NO_DIGITS), (3, _THREE_DIGITS), (4, _FOUR_DIGITS))
    for code in codes.split()
}
"""ISO 4217 list one, all currencies that do not have two digits. It changes about once in three years."""


def minor_digits(currency: str) -> int:
    """Digits after the point of `currency`'s amounts: 2 for CNY, 0 for JPY, 3 for KWD."""
    return _DIGITS.get(currency, 2)


def minor_units(text: str, digits: int) -> int:
    """The decimal `text` ("15.3") in minor units of `digits` digits, half rounded away from zero.

    Raises ValueError when `text` is no plain finite number.
    """
    try:
        return int(Decimal(text).scaleb(digits).to_integral_value(ROUND_HALF_UP))
    except (InvalidOperation, OverflowError, ValueError):
        raise ValueError(f"{text!r} is not an amount") from None


def shown(amount: int, currency: str) -> str:
    """`amount` for people: 129050 of CNY is "1,290.50 CNY"."""
    digits = minor_digits(currency)
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency}"
