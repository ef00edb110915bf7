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
    (
        account, number, occurred_at, recorded_at, version, amount, qualifying_at, kind, _, id, subject, fingerprint,
        facts, answer,
    ) = posting  # fmt: skip
    text = (
        f"1|{previous.hex()}|{account}|{number}|{kind}|{id}|{subject}|{occurred_at + shift}|{recorded_at + shift}"
        f"|{version}|{'' if qualifying_at is None else qualifying_at + shift}|{amount}"
        f"|{'' if fingerprint is None else fingerprint.hex()}|{'' if facts is None else sha256(facts).hexdigest()}"
        f"|{'' if answer is None else sha256(answer).hexdigest()}"
    )
    for _, _, seq, points, after, at, known_at, kind, _ in moved.entries:
        text += f"\ne|{seq}|{kind}|{points}|{after}|{at + shift}|{known_at + shift}"
    for _, _, lot, origin, points, earned_at, spendable_from, at, known_at, idle, end, purchase in moved.lots:
        text += (
            f"\nl|{lot}|{origin}|{points}|{earned_at + shift}|{spendable_from + shift}"
            f"|{'' if end is None else end + shift}|{'1' if idle else '0'}|{purchase}|{at + shift}|{known_at + shift}"
        )
    for _, _, ordinal, lot, points, at, known_at, purpose in moved.uses:
        text += f"\nu|{ordinal}|{lot}|{purpose}|{points}|{at + shift}|{known_at + shift}"
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
