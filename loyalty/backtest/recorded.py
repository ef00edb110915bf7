"""Recorded facts, as far as a replay reads them: what was asked, and what cannot be worked out again."""

from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec import Struct

from loyalty.engine.facts import AdjustmentFacts, ReturnFacts, Scaled, UnlinkedReturnFacts
from loyalty.rules.facts import Facts
from loyalty.types import Engagement, Purchase, PurchaseLine, PurchaseRedemption, Return, UnlinkedReturn


class RecordedLine(PurchaseLine, frozen=True, gc=False):
    """A line of a basket, read without asking for the bounds that it was held to when it came."""

    sku: str
    amount: int
    line: int | None = None
    quantity: int | Decimal = 1
    list_amount: int | None = None
    category: str | None = None
    tags: tuple[str, ...] = ()


class RecordedPurchase(Purchase, frozen=True, tag_field="kind", tag="purchase"):
    """A basket, read as its lines are."""

    purchase_id: str
    member: str
    occurred_at: datetime
    channel: str
    lines: tuple[RecordedLine, ...]
    store: str | None = None
    terminal: str | None = None
    redemption: PurchaseRedemption | None = None


class Bought(Struct, frozen=True):
    """A recorded purchase, as far as it is read."""

    purchase: RecordedPurchase
    judged: Facts
    points: int
    total_amount: int
    by_rule: dict[str, Scaled] = {}
    scale: int = 1


class Engaged(Struct, frozen=True):
    """A recorded event, as far as it is read."""

    event: Engagement
    judged: Facts
    points: int
    by_rule: dict[str, Scaled] = {}
    scale: int = 1


class Asked(Struct, frozen=True):
    request: Return


class AskedUnlinked(Struct, frozen=True):
    request: UnlinkedReturn


bought = msgspec.json.Decoder(Bought).decode
engaged = msgspec.json.Decoder(Engaged).decode
asked = msgspec.json.Decoder(Asked).decode
asked_unlinked = msgspec.json.Decoder(AskedUnlinked).decode
adjustment_facts = msgspec.json.Decoder(AdjustmentFacts).decode

assert ReturnFacts.__struct_fields__[0] == UnlinkedReturnFacts.__struct_fields__[0] == "request"
