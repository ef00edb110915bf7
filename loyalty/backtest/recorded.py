"""Recorded facts, as far as a replay reads them: what was asked, and what cannot be worked out again."""

import msgspec
from msgspec import Struct

from loyalty.engine.facts import AdjustmentFacts, ReturnFacts, Scaled, UnlinkedReturnFacts
from loyalty.rules.facts import Facts
from loyalty.types import Engagement, Purchase, Return, UnlinkedReturn


class Bought(Struct, frozen=True):
    """A recorded purchase, as far as it is read."""

    purchase: Purchase
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
