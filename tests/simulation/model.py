"""What the engine must answer, written from DESIGN.md alone: the requests, one after another, on plain lists.

Where the design leaves a choice, docs/decisions/tiers-and-time.md has it. Naive on purpose; shares no code with
`loyalty.engine`, `ledger`, `rules` and `tiers`, only the values of requests and programs and the local calendar.
"""

from typing import Any

from msgspec.structs import replace

from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    Purchase,
    Redemption,
    Release,
    Request,
    Return,
    Reversal,
    UnlinkedReturn,
)

from .model_events import Engaging
from .model_past import Remembering
from .model_state import ANY, Answered, Refused, numbered
from .model_values import START_OF_TIME

__all__ = ["ANY", "START_OF_TIME", "Model", "Refused"]


MEMBERS = (Purchase, UnlinkedReturn, Redemption, Adjustment, Engagement, Claim)


class Model(Remembering, Engaging):
    """Takes requests one after another and answers as the engine must."""

    def submit(self, request: Request) -> tuple[dict[str, Any], bool]:
        """The answer, and whether it was given before. Raises Refused."""
        key = self.key(request)
        if key is not None and key in self.answers:
            then = self.answers[key]
            if self.same(then, request):
                return then.answer, True
            raise Refused("id-conflict")
        match request:
            case Capture() | Release():
                return self.end_hold(request)
            case Reversal(reversal_id=None):
                return self.reverse_rest(request)
            case Cancellation():
                return self.cancel(request)
        answer = self.answer(request)
        if key is not None:
            member = getattr(request, "member", None)
            self.answers[key] = Answered(request, self.member(member) if member else None, answer)
        return answer, False

    def answer(self, request: Request) -> dict[str, Any]:
        """What a request with an id of its own, which was not used before, is answered."""
        match request:
            case Purchase():
                return self.purchase(request)
            case Return():
                return self.take_return(request)
            case UnlinkedReturn():
                return self.unlinked(request)
            case Redemption():
                return self.redeem(request)
            case Reversal():
                return self.reverse(request)
            case Adjustment():
                return self.adjust(request)
            case Engagement():
                return self.event(request)
            case Claim():
                return self.claim(request)
        raise TypeError(request)

    @staticmethod
    def key(request: Request) -> tuple[str, str] | None:
        """Ids are unique within their kind."""
        if isinstance(request, Purchase):
            return "purchase", request.purchase_id
        if isinstance(request, Return | UnlinkedReturn):
            return "return", request.return_id
        if isinstance(request, Redemption):
            return "redemption", request.redemption_id
        if isinstance(request, Adjustment):
            return "adjustment", request.adjustment_id
        if isinstance(request, Engagement):
            return "event", request.event_id
        if isinstance(request, Claim):
            return "claim", request.claim_id
        if isinstance(request, Reversal) and request.reversal_id is not None:
            return "reversal", request.reversal_id
        return None

    def same(self, then: Answered, other: Request) -> bool:
        """Equal with their defaults, the member as the account that it means, unknown names not compared."""
        one = then.request
        if type(one) is not type(other):
            return False
        if isinstance(one, Purchase | UnlinkedReturn) and isinstance(other, Purchase | UnlinkedReturn):
            if [*numbered(one.lines)] != [*numbered(other.lines)]:
                return False
            one, other = replace(one, lines=()), replace(other, lines=())
        if isinstance(one, MEMBERS) and isinstance(other, MEMBERS):
            if other.member in self.names and self.member(other.member) is not then.account:
                return False
            other = replace(other, member=one.member)
        return one == other
