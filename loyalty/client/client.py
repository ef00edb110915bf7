"""The calls of the API as methods. Each is tried again, with the same ids, until it is answered."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from loyalty.client.refusal import read_problem
from loyalty.client.upload import Item, Kind, Uploaded, encode_item, name_of, read_results
from loyalty.engine.answers import (
    AdjustmentAnswer,
    Balance,
    CancellationAnswer,
    ClaimAnswer,
    EntryAnswer,
    EntryPage,
    EventReceipt,
    Quote,
    Receipt,
    RedemptionAnswer,
    RedemptionRecord,
    ReturnReceipt,
    ReversalAnswer,
)
from loyalty.engine.tier_answers import TierStanding
from loyalty.errors import LoyaltyError
from loyalty.members.answers import MemberAnswer, TokenAnswer
from loyalty.rewards.answers import Reward, Rewards, VoucherRecord, Vouchers, VoucherUse
from loyalty.types import (
    Adjustment,
    Claim,
    Engagement,
    Enrolment,
    MemberChange,
    Purchase,
    Redemption,
    Return,
    UnlinkedReturn,
)

TRIED_AGAIN = (429, 500, 502, 503, 504)
"""Answers that a repeat may mend; `Retry-After` is kept to."""

T = TypeVar("T")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Unreachable(Exception):
    """No answer came: whether the request had its effect is not known. Send the same again later; it acts once."""


class Client:
    """Calls the API at `url` with `key`.

    Args:
        url: where the server listens, such as `https://points.example`.
        key: an API key, or a member's token.
        timeout: seconds to wait for a connection, and then for an answer, at each try.
        tries: how often a call is sent at most, with growing pauses between.

    A refused call raises its class of `loyalty.errors`; one without an answer raises Unreachable. Threads may share it.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 10.0, tries: int = 5) -> None:
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            retries=urllib3.Retry(
                total=tries - 1,
                redirect=False,
                allowed_methods=None,  # a POST too: ids make every call safe to repeat
                status_forcelist=TRIED_AGAIN,
                backoff_factor=0.1,
                backoff_max=5.0,
                backoff_jitter=0.1,
                raise_on_status=False,
            ),
        )

    def enrol(self, enrolment: Enrolment) -> MemberAnswer:
        """Enrol a member. A `member_id` is made up here when absent, so that a repeat makes no second member."""
        if enrolment.member_id is None:
            enrolment = msgspec.structs.replace(enrolment, member_id=f"m-{secrets.token_hex(8)}")
        return self._post("/v1/members", enrolment, MemberAnswer)

    def member(self, member: str) -> MemberAnswer:
        """Read a member, by `member_id` or by an identifier with its scheme (`phone:+8613800000001`)."""
        return self._get(f"/v1/members/{_part(member)}", MemberAnswer)

    def change_member(self, member: str, change: MemberChange) -> MemberAnswer:
        """Change a member: what is UNSET stays, None takes the value away."""
        return _read(self.call("PATCH", f"/v1/members/{_part(member)}", change), MemberAnswer)

    def balance(
        self, member: str, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Balance:
        """The balance now, or at a past instant, or as it was known then."""
        asked = {"as_of": as_of, "known_at": known_at}
        return self._get(f"/v1/members/{_part(member)}/balance{_query(asked)}", Balance)

    def tier(self, member: str) -> TierStanding:
        """The tier, what the next one needs, and the history."""
        return self._get(f"/v1/members/{_part(member)}/tier", TierStanding)

    def entries(self, member: str) -> Iterator[EntryAnswer]:
        """All entries, newest first, read page by page."""
        cursor: str | None = None
        while True:
            asked = {"cursor": cursor, "limit": 200}
            page = self._get(f"/v1/members/{_part(member)}/entries{_query(asked)}", EntryPage)
            yield from page.entries
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def quote(self, purchase: Purchase) -> Quote:
        """The receipt that a purchase would get. Nothing is written."""
        return self._post("/v1/quotes", purchase, Quote)

    def purchase(self, purchase: Purchase) -> Receipt:
        """Record a purchase."""
        return self._post("/v1/purchases", purchase, Receipt)

    def return_goods(self, goods: Return | UnlinkedReturn) -> ReturnReceipt:
        """Record goods that come back, of a known purchase or of none."""
        if isinstance(goods, UnlinkedReturn):
            return self._post("/v1/returns", goods, ReturnReceipt)
        body = {"return_id": goods.return_id, "occurred_at": goods.occurred_at, "lines": goods.lines}
        return self._post(f"/v1/purchases/{_part(goods.purchase_id)}/returns", body, ReturnReceipt)

    def upload(self, items: Sequence[Item]) -> list[Uploaded]:
        """Record up to 10,000 purchases and returns, in order within a member; a result each."""
        return self.upload_lines([name_of(item) for item in items], [encode_item(item) for item in items])

    def upload_lines(self, names: list[tuple[Kind, str]], lines: list[bytes]) -> list[Uploaded]:
        """As `upload`, of items that are encoded already."""
        body = self.call("POST", "/v1/purchases/batch", b"\n".join(lines), media_type="application/x-ndjson")
        return read_results(names, _json(body))

    def redeem(self, redemption: Redemption) -> RedemptionAnswer:
        """Turn points into money, or set them aside (`hold`)."""
        return self._post("/v1/redemptions", redemption, RedemptionAnswer)

    def redemption(self, redemption_id: str) -> RedemptionRecord:
        """Read a redemption as it stands now."""
        return self._get(f"/v1/redemptions/{_part(redemption_id)}", RedemptionRecord)

    def capture(self, redemption_id: str, points: int | None = None) -> RedemptionAnswer:
        """Spend a hold; what `points` leaves is released. None: all of it."""
        return self._post(
            f"/v1/redemptions/{_part(redemption_id)}/capture", {"points": points}, RedemptionAnswer
        )

    def release(self, redemption_id: str) -> RedemptionAnswer:
        """Give a hold up: its points are free again."""
        return self._post(f"/v1/redemptions/{_part(redemption_id)}/release", {}, RedemptionAnswer)

    def reverse(
        self, redemption_id: str, points: int | None = None, reversal_id: str | None = None
    ) -> ReversalAnswer:
        """Undo a captured redemption; with `points` in part, and then a `reversal_id` is needed."""
        body = {"points": points, "reversal_id": reversal_id}
        return self._post(f"/v1/redemptions/{_part(redemption_id)}/reverse", body, ReversalAnswer)

    def adjust(self, adjustment: Adjustment) -> AdjustmentAnswer:
        """Add or take points by hand."""
        path = f"/v1/members/{_part(adjustment.member)}/adjustments"
        return self._post(path, _without_member(adjustment), AdjustmentAnswer)

    def event(self, event: Engagement) -> EventReceipt:
        """Record what a member did beside buying: a survey, a review, a check-in."""
        path = f"/v1/members/{_part(event.member)}/events"
        return self._post(path, _without_member(event), EventReceipt)

    def rewards(self, member: str) -> list[Reward]:
        """What a member may claim today, and whether the points are there."""
        return self._get(f"/v1/members/{_part(member)}/rewards", Rewards).rewards

    def claim(self, claim: Claim) -> ClaimAnswer:
        """Take a reward for points; its voucher can be used once."""
        body = {"claim_id": claim.claim_id, "member": claim.member}
        return self._post(f"/v1/rewards/{_part(claim.reward_id)}/claims", body, ClaimAnswer)

    def cancel_claim(self, claim_id: str) -> CancellationAnswer:
        """Take a claim back whose voucher was not used: its points return."""
        return self._post(f"/v1/claims/{_part(claim_id)}/cancel", {}, CancellationAnswer)

    def vouchers(self, member: str) -> list[VoucherRecord]:
        """All vouchers of a member, newest first."""
        return self._get(f"/v1/members/{_part(member)}/vouchers", Vouchers).vouchers

    def voucher(self, code: str) -> VoucherRecord:
        """What a voucher is for, whose it is, and whether it can be used."""
        return self._get(f"/v1/vouchers/{_part(code)}", VoucherRecord)

    def use_voucher(self, code: str, use_id: str, purchase_id: str | None = None) -> VoucherUse:
        """Use a voucher, once: hand over what it is for when this returns."""
        body = {"use_id": use_id, "purchase_id": purchase_id}
        return self._post(f"/v1/vouchers/{_part(code)}/use", body, VoucherUse)

    def member_token(self, member: str, *, seconds: int = 900) -> TokenAnswer:
        """A token that reads this member's own data for so long (60 to 3600 s), for the member's page."""
        return self._post(f"/v1/members/{_part(member)}/tokens", {"seconds": seconds}, TokenAnswer)

    def call(
        self, method: str, path: str, body: Any = None, *, media_type: str = "application/json"
    ) -> bytes:
        """Any call: the answer's bytes. Bytes are sent as they are, other bodies as JSON.

        Raises the error of a refusal, or Unreachable.
        """
        content = body if body is None or isinstance(body, bytes) else _encode(body)
        headers = {**self._pool.headers, "Content-Type": media_type}
        try:
            answer = self._pool.request(method, self._url + path, body=content, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{self._url} does not answer: {error}") from error
        if answer.status < 300:
            return answer.data
        raise _refused(answer.status, answer.data)

    def close(self) -> None:
        """Hang up. A later call connects again."""
        self._pool.clear()

    def _get(self, path: str, kind: type[T]) -> T:
        return _read(self.call("GET", path), kind)

    def _post(self, path: str, body: Any, kind: type[T]) -> T:
        return _read(self.call("POST", path, body), kind)


def _refused(status: int, body: bytes) -> LoyaltyError | Unreachable:
    try:
        return read_problem(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unreachable(f"Something before the server answered {status}.")


def _read(body: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(_json(body), type=kind)


def _json(body: bytes) -> bytes:
    """The body of an answer, if it is JSON. Raises Unreachable for the page of a proxy or of a network's log-in."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise Unreachable("Something before the server answered in its place.") from error
    return body


def _without_member(request: Adjustment | Engagement) -> dict[str, Any]:
    """The body of a request whose member stands in the path."""
    fields = msgspec.structs.asdict(request).items()
    return {name: value for name, value in fields if name != "member" and value is not None}


def _part(text: str) -> str:
    return quote(text, safe="")


def _query(asked: dict[str, Any]) -> str:
    given = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asked.items()
        if value is not None
    }
    return f"?{urlencode(given)}" if given else ""
