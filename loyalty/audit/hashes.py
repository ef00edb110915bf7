"""The hash of a posting, computed from what was read: a second writing of loyalty.ledger.chain, version 1.

On purpose it shares no line with the first, and a test holds the two to the same result: an error in one shows.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from loyalty.audit.rows import INSTANT_TO_1970, Made, Moved, Posting, Tier

if TYPE_CHECKING:
    from loyalty.audit.terms import Version

GENESIS = bytes(32)


def posting_hash(previous: bytes, posting: Posting, moved: Moved) -> bytes:
    """The hash of a posting and the rows that it made, following the posting whose hash is `previous`."""
    shift = INSTANT_TO_1970
    p = posting
    qualifying_at = "" if p.qualifying_at is None else p.qualifying_at + shift
    fingerprint = "" if p.fingerprint is None else p.fingerprint.hex()
    facts = "" if p.facts is None else sha256(p.facts).hexdigest()
    answer = "" if p.answer is None else sha256(p.answer).hexdigest()
    text = (
        f"1|{previous.hex()}|{p.account}|{p.number}|{p.kind}|{p.id}|{p.subject}|{p.occurred_at + shift}"
        f"|{p.recorded_at + shift}|{p.program_version}|{qualifying_at}|{p.qualifying_amount}|{fingerprint}"
        f"|{facts}|{answer}"
    )
    for e in moved.entries:
        text += f"\ne|{e.seq}|{e.kind}|{e.points}|{e.balance_after}|{e.occurred_at + shift}|{e.recorded_at + shift}"
    for lot in moved.lots:
        expires_at = "" if lot.expires_at is None else lot.expires_at + shift
        text += (
            f"\nl|{lot.lot}|{lot.origin}|{lot.points}|{lot.earned_at + shift}|{lot.spendable_from + shift}"
            f"|{expires_at}|{'1' if lot.idle else '0'}|{lot.purchase_id}|{lot.occurred_at + shift}"
            f"|{lot.recorded_at + shift}"
        )
    for u in moved.uses:
        text += (
            f"\nu|{u.ordinal}|{u.lot}|{u.purpose}|{u.points}|{u.occurred_at + shift}|{u.recorded_at + shift}"
        )
    for t in moved.tiers:
        text += _tier_text(t)
    return sha256(text.encode()).digest()


def added_row(previous: bytes, posting: Posting, moved: Moved) -> Made | None:
    """The one row of a posting without which its hash would be right: it was added afterwards. None: no single one."""
    for added in moved.rows():
        without = Moved()
        without.entries = [row for row in moved.entries if row is not added]
        without.lots = [row for row in moved.lots if row is not added]
        without.uses = [row for row in moved.uses if row is not added]
        without.tiers = [row for row in moved.tiers if row is not added]
        if posting_hash(previous, posting, without) == posting.hash:
            return added
    return None


def _tier_text(t: Tier) -> str:
    shift = INSTANT_TO_1970
    valid_until, verdict_at, ground_at = (
        "" if at is None else at + shift for at in (t.valid_until, t.verdict_at, t.ground_at)
    )
    return (
        f"\nt|{t.ordinal}|{t.at + shift}|{t.tier}|{t.previous}|{t.reason}|{t.since + shift}|{valid_until}"
        f"|{verdict_at}|{ground_at}|{t.recorded_at + shift}"
    )


def version_hash(previous: bytes, row: "Version") -> bytes:
    """The hash of a version of the program, following the one whose hash is `previous`."""
    epoch, microsecond = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    texts = [
        "" if text is None else sha256(text.encode()).hexdigest()
        for text in (row.source, row.author, row.note)
    ]
    fields = [
        "1", previous.hex(), str(row.version), str((row.effective_from - epoch) // microsecond), row.format,
        str((row.recorded_at - epoch) // microsecond), *texts,
    ]  # fmt: skip
    return sha256("|".join(fields).encode()).digest()
