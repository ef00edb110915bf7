"""The chain of hashes over an account's postings, and over the program's versions: who changes, removes, adds or
re-orders a row breaks it.

Version 1: sha256 over a text that SQL can build as well. The posting first, then its entries, lots, uses and tier
changes, one line each, fields joined by `|`, in the order of their keys. Instants are microseconds since 1970, absent
values are empty, long texts stand as their sha256. The shard is not covered, so that rows can be copied elsewhere.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from loyalty.ledger.rows import EntryRow, LotRow, PostingRow, TierRow, UseRow

GENESIS = bytes(32)
"""What the first posting of an account follows, and the first version of the program."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """The instant as whole microseconds since 1970-01-01T00:00Z."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@lru_cache(maxsize=4096)
def _us(at: datetime | None) -> str:
    """The instant in microseconds, as text; nothing for none. Remembered: the rows of a posting share a few."""
    return "" if at is None else str(microseconds(at))


def _digest(content: bytes | None) -> str:
    return "" if content is None else sha256(content).hexdigest()


def posting_hash(
    previous: bytes,
    posting: PostingRow,
    entries: Iterable[EntryRow],
    lots: Iterable[LotRow],
    uses: Iterable[UseRow],
    tiers: Iterable[TierRow],
) -> bytes:
    """The hash of a posting that follows the one whose hash is `previous`. `posting.hash` is not read.

    Entries come in the order of seq, lots of lot, uses and tier changes of ordinal.
    """
    p = posting
    lines = [
        f"1|{previous.hex()}|{p.account}|{p.number}|{p.kind}|{p.id or ''}|{p.subject or ''}"
        f"|{_us(p.occurred_at)}|{_us(p.recorded_at)}|{p.program_version}"
        f"|{_us(p.qualifying_at)}|{p.qualifying_amount}|{(p.fingerprint or b'').hex()}"
        f"|{_digest(None if p.facts is None else p.facts.encode())}|{_digest(p.answer)}"
    ]
    for e in entries:
        lines.append(
            f"e|{e.seq}|{e.kind}|{e.points}|{e.balance_after}|{_us(e.occurred_at)}|{_us(e.recorded_at)}"
        )
    for lot in lots:
        lines.append(
            f"l|{lot.lot}|{lot.origin}|{lot.points}|{_us(lot.earned_at)}"
            f"|{_us(lot.spendable_from)}|{_us(lot.expires_at)}|{int(lot.idle)}|{lot.purchase_id or ''}"
            f"|{_us(lot.occurred_at)}|{_us(lot.recorded_at)}"
        )
    for u in uses:
        lines.append(
            f"u|{u.ordinal}|{u.lot}|{u.purpose}|{u.points}|{_us(u.occurred_at)}|{_us(u.recorded_at)}"
        )
    for t in tiers:
        lines.append(
            f"t|{t.ordinal}|{_us(t.at)}|{t.tier}|{t.previous or ''}|{t.reason}|{_us(t.since)}"
            f"|{_us(t.valid_until)}|{_us(t.verdict_at)}|{_us(t.ground_at)}|{_us(t.recorded_at)}"
        )
    return sha256("\n".join(lines).encode()).digest()


def version_hash(
    previous: bytes, version: int, effective_from: datetime, source: str, format: str, author: str | None,
    note: str | None, recorded_at: datetime,
) -> bytes:  # fmt: skip
    """The hash of a version of the program that follows the one whose hash is `previous`.

    Without it a decision could be judged again, and found wrong or right, by a program that was not the one in force.
    """
    texts = "|".join(_digest(None if text is None else text.encode()) for text in (source, author, note))
    return sha256(
        f"1|{previous.hex()}|{version}|{microseconds(effective_from)}|{format}|{microseconds(recorded_at)}|{texts}".encode()
    ).digest()
