"""Reports that must be the same however they were made."""

import msgspec

from loyalty.backtest import Report
from loyalty.backtest.report import Reproduced
from loyalty.ledger.state import NEVER

UNCHECKED = Reproduced(False, 0, 0, [])


def assert_same(read: Report, decided: Report) -> None:
    """What was in force, read from the ledger, comes to what deciding it again does; and so does all beside it."""
    assert _figures(read) == _figures(decided)
    assert decided.reproduced.accounts in (0, decided.accounts)
    assert decided.reproduced.different == 0, decided.reproduced.examples


def _figures(report: Report) -> Report:
    """Without what tells when and how long it ran."""
    return msgspec.structs.replace(
        report, as_of=NEVER, end=NEVER, seconds=0, purchases_per_second=0, reproduced=UNCHECKED
    )
