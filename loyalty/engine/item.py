"""One request on its way through a batch, and the ids it is about."""

from dataclasses import dataclass, field

from loyalty.acts import Actor
from loyalty.engine.answers import Answer
from loyalty.engine.requests import Addressed, address, fingerprint, normalised, recorded_form
from loyalty.errors import IdConflict, InvalidRequest, LoyaltyError
from loyalty.ledger.store import Recorded, RequestKey, Where
from loyalty.members.identity import Name, parse_reference
from loyalty.types import Purchase, Request


@dataclass(slots=True, eq=False)
class Item:
    """One request on its way through."""

    request: Request
    actor: Actor | None = None
    address: Addressed = field(init=False)
    keys: list[RequestKey] = field(init=False)
    """The ids that it takes or is about."""
    name: Name | None = None
    normal: Request = field(init=False)
    fingerprint: bytes = field(init=False)
    where: Where | None = None
    outcome: Answer | LoyaltyError | None = None

    def __post_init__(self) -> None:
        self.address = address(self.request)

    def prepare(self) -> None:
        """Its one form, and who it is about. A request that has none is refused here."""
        try:
            self.keys = _keys(self.address, self.request)
            if self.address.member is not None:
                self.name = parse_reference(self.address.member)
            self.normal = normalised(self.request)
            self.fingerprint = fingerprint(recorded_form(self.normal))
        except LoyaltyError as error:
            self.outcome = error.with_traceback(None)
        except (ValueError, OverflowError):
            # Half a character, or a time beyond the calendar in UTC. Its neighbours have nothing to do with it.
            self.outcome = InvalidRequest("The request holds a text or a time that cannot be recorded.")


def _keys(address: Addressed, request: Request) -> list[RequestKey]:
    keys = [key for key in (address.key, address.subject) if key is not None]
    if isinstance(request, Purchase) and request.redemption is not None:
        keys.append(("redemption", request.redemption.redemption_id))
    return keys


def paying_with(item: Item, found: dict[RequestKey, Recorded]) -> Recorded | None:
    """The redemption on record that a purchase is paid with, if that is so."""
    if not isinstance(item.request, Purchase) or item.request.redemption is None:
        return None
    return found.get(("redemption", item.request.redemption.redemption_id))


def belongs_to_another(item: Item) -> IdConflict:
    """Refuses a purchase that is to be paid with another member's redemption."""
    assert isinstance(item.request, Purchase)
    assert item.request.redemption is not None
    return IdConflict(
        f"Redemption {item.request.redemption.redemption_id} belongs to another member. Use an id of its own."
    )


def replay(recorded: Recorded, item: Item, where: Where | None) -> Answer | LoyaltyError:
    """What is said to a request whose id is recorded: the answer of then, or that the id meant something else."""
    same_account = where is None or where[1] == recorded.account
    if same_account and recorded.fingerprint == item.fingerprint:
        return Answer(recorded.answer, replayed=True)
    assert item.address.key is not None
    kind, id = item.address.key
    return IdConflict(
        f"The {kind} id {id} was used before, for something else. Nothing was changed. Use an id of its own, or send"
        " the first request again unchanged."
    )
