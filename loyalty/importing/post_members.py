"""Files of members, enrolled and given their tiers and opening lots. Done twice it doubles nothing."""

import asyncio
from itertools import islice

from loyalty.engine.engine import Engine
from loyalty.engine.validate import validate
from loyalty.errors import InvalidRequest, LoyaltyError, MemberExists
from loyalty.importing.members import KEY, Joining, keyed_rows, opening, read_member
from loyalty.importing.post import Options
from loyalty.importing.run import Progress
from loyalty.importing.source import Source
from loyalty.importing.stage import MEMBER, Stage
from loyalty.importing.summary import Summary, refusal
from loyalty.importing.values import Rejected
from loyalty.members import directory
from loyalty.members.enrol import enrol_many
from loyalty.members.identity import SCHEMES, names_of
from loyalty.types import Adjustment, Enrolment, MemberChange, OpeningTier

CHUNK = 2_000
"""Members that are enrolled and given their points at once."""


async def import_members(engine: Engine, source: Source, options: Options, progress: Progress) -> Summary:
    """Import a file of members; returns what became of it."""
    summary = Summary()
    stage = Stage(options.zone)

    def fill() -> None:
        stage.add(keyed_rows(source), kind=MEMBER, key=KEY, progress=lambda rows: progress("read", rows, 0))
        stage.gather()
        stage.put_in_order()

    await asyncio.to_thread(fill)
    summary.rows, summary.documents = stage.rows, stage.documents
    units = (parcel.unpack() for parcel in stage.take())
    program = (await engine.programs()).at(await engine.now()).program
    tiers = [tier.id for tier in program.tiers]
    done = 0
    while chunk := list(islice(units, CHUNK)):
        joining = []
        for unit in chunk:
            read = read_member(unit, options.zone)
            if isinstance(read, Joining) and read.tier is not None and read.tier not in tiers:
                known = ", ".join(tiers)
                read = Rejected(
                    "unknown tier", f"{read.tier!r} is none of the program's: {known}", read.lines
                )
            if isinstance(read, Rejected):
                summary.reject(read)
            else:
                joining.append(read)
        await _post(engine, joining, summary)
        done += len(chunk)
        progress("posted", done, stage.units)
    return summary


async def _post(engine: Engine, joining: list[Joining], summary: Summary) -> None:
    outcomes = await enrol_many(
        engine.pool, engine.vault, [one.enrolment for one in joining], await engine.now()
    )
    requests: list[OpeningTier | Adjustment] = []
    of: list[tuple[str, list[int]]] = []
    for one, enrolled in zip(joining, outcomes, strict=True):
        if isinstance(enrolled, MemberExists) and one.enrolment.member_id is not None:
            refused = await _fill_in(engine, one.enrolment.member_id, one.enrolment)
            if refused is not None:
                summary.reject(Rejected(enrolled.code, refused, one.lines))
                continue
            member_id = one.enrolment.member_id
            summary.took("members", replayed=True)
        elif isinstance(enrolled, LoyaltyError):
            summary.reject(refusal(enrolled, one.lines))
            continue
        else:
            member_id = enrolled.member_id
            summary.took("members", replayed=not enrolled.created)
        if one.tier is not None and one.tier_since is not None:
            requests.append(OpeningTier(member_id, one.tier, one.tier_since, one.tier_valid_until))
            of.append(("tiers", one.lines))
        for lot in one.lots:
            requests.append(opening(member_id, lot))
            of.append(("opening lots", lot.lines))
    answers = await engine.submit_many(_valid(requests, of, summary)) if requests else []
    for (what, lines), answer in zip(of, answers, strict=True):
        if isinstance(answer, LoyaltyError):
            summary.reject(refusal(answer, lines))
        else:
            summary.took(what, replayed=answer.replayed)


async def _fill_in(engine: Engine, member_id: str, enrolment: Enrolment) -> str | None:
    """Adds what the file knows of a member who is there already, as one whom purchases enrolled is; says why not, if
    what is known differs."""
    try:
        known = await directory.read(engine.pool, engine.vault, member_id)
        given = {str(name) for name in names_of(enrolment)}
        schemes = {name.partition(":")[0] for name in known.identifiers}
        differs = [name for name in given - set(known.identifiers) if name.partition(":")[0] in schemes]
        differs += [
            field
            for field in ("name", "birthday")
            if getattr(enrolment, field) and getattr(known, field) not in (None, getattr(enrolment, field))
        ]
        if differs:
            return f"{member_id} is a member already, with another {' and '.join(sorted(differs))}"
        new = {
            field: value
            for field in (*SCHEMES, "name", "birthday")
            if (value := getattr(enrolment, field)) is not None
        }
        if new:
            change = MemberChange(**new)
            await directory.change(engine.pool, engine.vault, member_id, change, await engine.now())
    except LoyaltyError as error:
        return error.detail
    return None


def _valid(
    requests: list[OpeningTier | Adjustment], of: list[tuple[str, list[int]]], summary: Summary
) -> list[OpeningTier | Adjustment]:
    """The requests that mean something; the others are rejected and leave both lists."""
    good, good_of = [], []
    for request, (what, lines) in zip(requests, of, strict=True):
        try:
            validate(request)
        except InvalidRequest as invalid:
            summary.reject(refusal(invalid, lines))
        else:
            good.append(request)
            good_of.append((what, lines))
    of[:] = good_of
    return good
