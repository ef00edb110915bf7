"""Bodies to try the main calls with: shown in the OpenAPI document, and sent by the tests."""

from datetime import UTC, datetime

from loyalty.types import (
    Adjustment,
    Engagement,
    Purchase,
    PurchaseLine,
    Redemption,
    ReturnLine,
    UnlinkedReturn,
)

_NOON = datetime(2026, 11, 11, 12, 0, tzinfo=UTC)

PURCHASE = Purchase(
    purchase_id="POS-17/2026-11-11/0042",
    member="phone:+8613800000001",
    occurred_at=_NOON,
    channel="pos",
    store="S-17",
    terminal="T-3",
    lines=(
        PurchaseLine(sku="LAMP-1", amount=12900, category="lighting"),
        PurchaseLine(sku="TOWEL-3", amount=3980, quantity=2, list_amount=4980),
    ),
)
RETURN = {
    "return_id": "POS-17/R/0007",
    "occurred_at": _NOON,
    "lines": [ReturnLine(line=2, quantity=1)],
}
UNLINKED_RETURN = UnlinkedReturn(
    return_id="POS-17/R/0008",
    member="phone:+8613800000001",
    occurred_at=_NOON,
    lines=(PurchaseLine(sku="TOWEL-3", amount=1990),),
)
REDEMPTION = Redemption(redemption_id="WEB-991", member="phone:+8613800000001", points=100, hold=True)
EVENT = Engagement(
    event_id="APP/survey/77", member="phone:+8613800000001", type="survey", occurred_at=_NOON, channel="app"
)
ADJUSTMENT = Adjustment(
    adjustment_id="OPS-5", member="phone:+8613800000001", points=50, reason="Goodwill: the parcel came late"
)
