"""Members: enrol, read, search, change."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from loyalty.api.auth import OPS, STAFF, caller
from loyalty.api.contract import call
from loyalty.api.reading import PAGE_BEFORE, Call, PageLimit, context, in_path, read_json, read_query
from loyalty.api.reply import Reply, reply
from loyalty.errors import (
    FieldError,
    Forbidden,
    FutureTime,
    InvalidRequest,
    MemberExists,
    MergeConflict,
    UnknownMember,
)
from loyalty.members import directory
from loyalty.members.answers import MemberAnswer, MemberPage
from loyalty.members.directory import Listed
from loyalty.members.enrol import enrol
from loyalty.members.identity import SCHEMES, normal
from loyalty.members.text import check_text
from loyalty.types import Card, Email, Enrolment, Ext, MemberChange, MemberRef, Text

_enrolment = msgspec.json.Decoder(Enrolment)
_change = msgspec.json.Decoder(MemberChange)


SearchedPhone = Annotated[str, Meta(pattern=r"\A[+ ][0-9]{2,15}\Z")]
"""A plus that nobody encoded arrives as a space."""


class MemberSearch(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to look for: at least one of the five; all that are given must hold.

    `name` is the whole name, in any case.
    """

    phone: SearchedPhone | None = None
    card: Card | None = None
    email: Email | None = None
    ext: Ext | None = None
    name: Annotated[Text, Meta(description="How the name begins.")] | None = None
    cursor: Annotated[str, Meta(pattern=r"\A[1-9a-f][0-9a-f]{0,14}\Z", description=PAGE_BEFORE)] | None = None
    limit: PageLimit = 50


@call(
    "POST",
    "/v1/members",
    roles=STAFF,
    tag="Members",
    body=Enrolment,
    example=Enrolment(phone="+8613800000001", name="Li Lei", birthday=None),
    answers={201: MemberAnswer, 200: MemberAnswer},
    problems=(MemberExists, FutureTime),
    replays=True,
)
async def enrol_member(request: Call) -> Reply:
    """Enrol a member.

    Repeated with equal content the member is read again, as it is by now; `member_id` is made up when absent.
    """
    enrolment = await read_json(request, _enrolment)
    engine = context(request).engine
    enrolled = await enrol(engine.pool, engine.vault, enrolment, await engine.now())
    listed = await directory.read(engine.pool, engine.vault, enrolled.member_id)
    answer = reply(await _answer(request, listed), 201 if enrolled.created else 200)
    if not enrolled.created:
        answer.headers = [(b"idempotent-replayed", b"true")]
    return answer


@call(
    "GET",
    "/v1/members/{member:str}",
    roles=STAFF,
    tag="Members",
    answers={200: MemberAnswer},
    problems=(UnknownMember,),
)
async def read_member(request: Call) -> Reply:
    """Read a member, by `member_id` or by an identifier with its scheme."""
    engine = context(request).engine
    listed = await directory.read(engine.pool, engine.vault, in_path(request, "member"))
    return reply(await _answer(request, listed))


@call("GET", "/v1/members", roles=STAFF, tag="Members", query=MemberSearch, answers={200: MemberPage})
async def search_members(request: Call) -> Reply:
    """Search members by identifiers or by their whole name."""
    wanted = read_query(request, MemberSearch)
    errors: list[FieldError] = []
    check_text("name", wanted.name, errors)
    if errors:
        raise InvalidRequest("name: " + errors[0].message, errors=errors)
    names = [
        normal(scheme, value.replace(" ", "+")) for scheme in SCHEMES if (value := getattr(wanted, scheme))
    ]
    if not names and wanted.name is None:
        raise InvalidRequest("Say whom to look for: give phone, card, email, ext or name.")
    after = int(wanted.cursor or "0", 16)
    engine = context(request).engine
    found, last = await directory.search(
        engine.pool, engine.vault, names, wanted.name, after=after, limit=wanted.limit
    )
    members = [await _answer(request, listed) for listed in found]
    return reply(MemberPage(members, None if last is None else f"{last:x}"))


@call(
    "PATCH",
    "/v1/members/{member:str}",
    roles=STAFF,
    tag="Members",
    body=MemberChange,
    example={"name": "Li Lei"},
    answers={200: MemberAnswer},
    problems=(UnknownMember, MemberExists),
)
async def change_member(request: Call) -> Reply:
    """Change a member.

    A field left out stays, null takes the value away. Only ops may change `status` (`active` or `blocked`).
    """
    wanted = await read_json(request, _change)
    if wanted.status is not msgspec.UNSET and (role := caller(request).role) not in ("ops", "admin"):
        raise Forbidden(f"A key of role {role} may not change `status`.")
    engine = context(request).engine
    member_id = await directory.change(
        engine.pool, engine.vault, in_path(request, "member"), wanted, await engine.now()
    )
    return reply(await _answer(request, await directory.read(engine.pool, engine.vault, member_id)))


class MergeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`into`: the member that stays, by `member_id` or by an identifier."""

    into: MemberRef


_merge = msgspec.json.Decoder(MergeBody)


@call(
    "POST",
    "/v1/members/{member:str}/merge",
    roles=OPS,
    tag="Members",
    body=MergeBody,
    example={"into": "m-8k2f"},
    answers={200: MemberAnswer},
    problems=(UnknownMember, MergeConflict),
)
async def merge_member(request: Call) -> Reply:
    """Merge a member into another, who stays and is answered.

    Points with their lives, holds, purchases, limits, what counts for tiers and identifiers go over; the higher tier
    stays. The same merge again answers the same.
    """
    wanted = await read_json(request, _merge)
    engine = context(request).engine
    member_id = await engine.merge(in_path(request, "member"), wanted.into)
    return reply(await _answer(request, await directory.read(engine.pool, engine.vault, member_id)))


@call(
    "DELETE",
    "/v1/members/{member:str}",
    roles=OPS,
    tag="Members",
    answers={204: None},
    problems=(UnknownMember,),
)
async def erase_member(request: Call) -> Reply:
    """Erase a member: holds are released, remaining points forfeited, names and personal data removed.

    The ledger stays whole, and goods that were bought before can still come back.
    """
    await context(request).engine.erase(in_path(request, "member"))
    return Reply(b"", 204)


async def _answer(request: Call, listed: Listed) -> MemberAnswer:
    engine = context(request).engine
    if listed.verdict_due and listed.merged_into is None:
        return listed.answer((await engine.tier(listed.member_id)).tier)
    if listed.tier is not None:
        return listed.answer(listed.tier)
    now = await engine.now()
    return listed.answer((await engine.programs()).at(now).program.tiers[0].id)


HANDLERS = (enrol_member, read_member, search_members, change_member, merge_member, erase_member)
