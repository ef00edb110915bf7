"""What may happen, as values: a run is a list of steps, and a list of steps can be written down and read again.

Every step carries its own instant, so that a run from which steps were taken out is a run still.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from loyalty.rewards.model import RewardTerms
from loyalty.types import (
    Adjustment,
    Cancellation,
    Capture,
    Claim,
    Engagement,
    Enrolment,
    Purchase,
    Redemption,
    Release,
    Request,
    Return,
    Reversal,
    UnlinkedReturn,
)

KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Purchase,
        Return,
        UnlinkedReturn,
        Redemption,
        Capture,
        Release,
        Reversal,
        Adjustment,
        Engagement,
        Claim,
        Cancellation,
    )
}


class Enrol(Struct, frozen=True, tag=True):
    at: datetime
    enrolment: Enrolment


class PutProgram(Struct, frozen=True, tag=True):
    """A new version of the program; the first is in force from the beginning of time."""

    at: datetime
    source: str
    effective_from: datetime | None = None


class SetStatus(Struct, frozen=True, tag=True):
    at: datetime
    member: str
    status: str


class SetBirthday(Struct, frozen=True, tag=True):
    at: datetime
    member: str
    birthday: date | None


class Submit(Struct, frozen=True, tag=True):
    """Requests, in order: each by itself, or together as one batch."""

    at: datetime
    requests: tuple[Any, ...]
    together: bool


class PostDue(Struct, frozen=True, tag=True):
    """The review of tiers, or the expiry batch and then the archive of what is a month old."""

    at: datetime
    review: bool


class Merge(Struct, frozen=True, tag=True):
    at: datetime
    member: str
    into: str


class Erase(Struct, frozen=True, tag=True):
    at: datetime
    member: str


class Past(Struct, frozen=True, tag=True):
    """Reads a member's balance of an instant, as it was known at another."""

    at: datetime
    member: str
    as_of: datetime | None
    known_at: datetime | None


class Owed(Struct, frozen=True, tag=True):
    """Reads the liability, of now or of the past."""

    at: datetime
    as_of: datetime | None
    known_at: datetime | None


class Look(Struct, frozen=True, tag=True):
    """Reads a member's balance and tier."""

    at: datetime
    member: str


class PutReward(Struct, frozen=True, tag=True):
    """A reward, or other terms for it."""

    at: datetime
    reward_id: str
    terms: RewardTerms


class MoveStock(Struct, frozen=True, tag=True):
    """Units of a reward come in, or leave."""

    at: datetime
    reward_id: str
    stock_id: str
    units: int


class UseVoucher(Struct, frozen=True, tag=True):
    """The voucher of a claim is used at a till."""

    at: datetime
    claim_id: str
    use_id: str
    purchase_id: str | None


Step = (
    Enrol
    | PutProgram
    | SetStatus
    | SetBirthday
    | Submit
    | PostDue
    | Merge
    | Erase
    | Past
    | Owed
    | Look
    | PutReward
    | MoveStock
    | UseVoucher
)


def weight(step: Step) -> int:
    """How many steps a step counts for: a batch as many as it has requests."""
    return len(step.requests) if isinstance(step, Submit) else 1


def write(path: Path, steps: list[Step], head: dict[str, Any]) -> None:
    """A run as JSON lines: what it is of, then one line each step."""
    lines = [msgspec.json.encode(head)]
    for step in steps:
        if isinstance(step, Submit):
            pairs = tuple((type(one).__name__, one) for one in step.requests)
            step = Submit(step.at, pairs, step.together)
        lines.append(msgspec.json.encode(step))
    path.write_bytes(b"\n".join(lines) + b"\n")


def read_head(path: Path) -> dict[str, Any]:
    """What a written run is of."""
    head: dict[str, Any] = msgspec.json.decode(path.read_bytes().splitlines()[0])
    return head


def read(path: Path) -> list[Step]:
    steps: list[Step] = []
    for line in path.read_bytes().splitlines()[1:]:
        step = msgspec.json.decode(line, type=Step)
        if isinstance(step, Submit):
            found = tuple(_request(kind, body) for kind, body in step.requests)
            step = Submit(step.at, found, step.together)
        steps.append(step)
    return steps


def _request(kind: str, body: Any) -> Request:
    found: Request = msgspec.convert(body, KINDS[kind], strict=False)
    return found


def describe(step: Step) -> str:
    """A step as a line that one can read: what is as by default is left out."""
    if isinstance(step, Submit):
        rows = [f"{step.at.isoformat()} {'together' if step.together else 'submit'}"]
        return "\n    ".join([*rows, *(brief(one) for one in step.requests)])
    if isinstance(step, PutProgram):
        since = f" from {step.effective_from.isoformat()}" if step.effective_from else ""
        return f"{step.at.isoformat()} program{since}\n    " + step.source.rstrip().replace(
            "\n\n", "\n"
        ).replace("\n", "\n    ")
    if isinstance(step, Enrol):
        return f"{step.at.isoformat()} {brief(step.enrolment)}"
    return f"{step.at.isoformat()} {brief(step)}"


def brief(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return "[" + ", ".join(brief(one) for one in value) + "]"
    if not isinstance(value, Struct):
        return str(value)
    fields = msgspec.structs.fields(value)
    parts = [
        f"{one.name}={brief(getattr(value, one.name))}"
        for one in fields
        if getattr(value, one.name) != one.default and one.name != "at"
    ]
    return f"{type(value).__name__}({' '.join(parts)})"


class Owners:
    """Which member each request of a run is about; members who are merged at some time count as one."""

    def __init__(self, steps: list[Step]) -> None:
        self.names: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        for step in steps:
            if isinstance(step, Enrol):
                one = step.enrolment
                for name in (one.member_id, f"phone:{one.phone}", f"ext:{one.ext}"):
                    self.names[str(name)] = str(one.member_id)
        for step in steps:
            if isinstance(step, Merge):
                old, new = self.names.get(step.member), self.names.get(step.into)
                for name, owner in self.names.items():
                    if new and owner == old:
                        self.names[name] = new
        for step in steps:
            if isinstance(step, Submit):
                for request in step.requests:
                    self._learn(request)

    def _learn(self, request: Any) -> None:
        member = self.names.get(getattr(request, "member", ""))
        if member is not None:
            for field in ("purchase_id", "redemption_id", "claim_id"):
                self.owners.setdefault(getattr(request, field, ""), member)
            if getattr(request, "redemption", None) is not None:
                self.owners.setdefault(request.redemption.redemption_id, member)

    def of(self, request: Any) -> str | None:
        if hasattr(request, "member"):
            return self.names.get(request.member)
        ids = (getattr(request, field, "") for field in ("claim_id", "purchase_id", "redemption_id"))
        return self.owners.get(next(filter(None, ids), ""))


def of_one_member(steps: list[Step], member: str | None = None) -> list[Step]:
    """The part of a run that has to do with a member; by default that of its last request."""
    owners, last = Owners(steps), steps[-1]
    if member is not None:
        member = owners.names.get(member)
    elif isinstance(last, Submit):
        member = owners.of(last.requests[-1])
    if member is None:
        return steps
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Submit):
            mine = tuple(one for one in step.requests if owners.of(one) == member)
            if mine:
                found.append(Submit(step.at, mine, step.together))
        elif isinstance(step, PutProgram | PostDue | Owed | PutReward | MoveStock):
            found.append(step)
        elif isinstance(step, Enrol):
            if owners.names[str(step.enrolment.member_id)] == member:
                found.append(step)
        elif isinstance(step, UseVoucher):
            if owners.of(step) == member:
                found.append(step)
        elif owners.names.get(step.member) == member:
            found.append(step)
    return found
