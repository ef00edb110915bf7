"""The backtest: the whole recorded history decided again under a candidate program, beside what was in force.

Source: docs/BACKTEST.md.
"""

from loyalty.backtest.report import Report
from loyalty.backtest.run import backtest

__all__ = ["Report", "backtest"]
