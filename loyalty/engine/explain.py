"""Why a purchase or an event earned what it did: from its recorded facts, by which the decision can be made again."""

import msgspec
from asyncpg import Record

from loyalty.db.sql import query
from loyalty.engine.access import Access
from loyalty.engine.answers import EventExplanation, EventReceipt, Explanation, Receipt
from loyalty.engine.facts import engagement_facts, exact, purchase_facts
from loyalty.engine.programs import ProgramVersion
from loyalty.errors import NotFound, UnknownPurchase
from loyalty.rules.award import Award, explain, rounding_text
from loyalty.rules.words import Audience, in_words


async def explanation(
    engine: Access, purchase_id: str, verify: bool, words: Audience | None = None, language: str = "en"
) -> Explanation:
    """Why a purchase earned what it did; with `verify`, the decision is made again and compared.

    `words`: also in sentences for the member or for staff, in one of `languages()`. Raises UnknownPurchase.
    """
    row = await _posting(engine, "purchase", purchase_id)
    if row is None:
        raise UnknownPurchase(f"No purchase {purchase_id} is recorded.")
    version = await _version(engine, row["program_version"])
    facts = purchase_facts(row["facts"])
    receipt = msgspec.json.decode(row["answer"], type=Receipt)
    verified = None
    if verify:
        award = version.judge.judge(facts.purchase.lines, facts.judged)
        verified = (
            award.points == facts.points
            and award.metric_amount == facts.metric_amount
            and award.charges == facts.charges
            and (award.by_rule, award.scale) == (exact(facts.by_rule), facts.scale)
            and _says(award, receipt)
        )
    told = None
    if words is not None:
        told = in_words(version.program, receipt.explain, facts.judged, language, words)
    return Explanation(
        purchase_id,
        version.version,
        facts.points,
        facts.judged,
        receipt.explain,
        receipt.rounding,
        verified,
        told,
    )


async def event_explanation(
    engine: Access, event_id: str, verify: bool, words: Audience | None = None, language: str = "en"
) -> EventExplanation:
    """As `explanation`, of an event. Raises NotFound."""
    row = await _posting(engine, "event", event_id)
    if row is None:
        raise NotFound(f"No event {event_id} is recorded.")
    version = await _version(engine, row["program_version"])
    facts = engagement_facts(row["facts"])
    receipt = msgspec.json.decode(row["answer"], type=EventReceipt)
    verified = None
    if verify:
        award = version.judge.judge_event(facts.event.type, facts.judged)
        verified = (
            award.points == facts.points
            and award.charges == facts.charges
            and (award.by_rule, award.scale) == (exact(facts.by_rule), facts.scale)
            and _says(award, receipt)
        )
    told = None
    if words is not None:
        told = in_words(version.program, receipt.explain, facts.judged, language, words, facts.event.type)
    return EventExplanation(
        event_id, facts.event.type, version.version, facts.points, facts.judged, receipt.explain, receipt.rounding,
        verified, told,
    )  # fmt: skip


async def _posting(engine: Access, kind: str, id: str) -> Record | None:
    async with engine.pool.acquire() as connection:
        return await connection.fetchrow(query("posting_by_id"), kind, id)


async def _version(engine: Access, number: int) -> ProgramVersion:
    programs = engine.programs_known
    if number > programs.newest:
        programs = await engine.programs()
    return programs.numbered(number)


def _says(award: Award, receipt: Receipt | EventReceipt) -> bool:
    """Whether a receipt says what the award does."""
    return (
        award.points == receipt.points_earned
        and msgspec.to_builtins(explain(award)) == msgspec.to_builtins(receipt.explain)
        and rounding_text(award) == receipt.rounding
    )
