"""Events of a member that are no purchases: record one, and explain what it earned."""

import msgspec
from msgspec import Struct

from loyalty.api import examples
from loyalty.api.auth import STAFF
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.purchases import ExplainQuery, read_explain_query
from loyalty.api.reading import Call, context, id_in_path, in_path, read_json
from loyalty.api.reply import Reply, created, reply
from loyalty.engine.answers import EventExplanation, EventReceipt
from loyalty.engine.validate import validate
from loyalty.errors import FutureTime, IdConflict, NotFound, UnknownMember
from loyalty.types import Engagement, EventType, Instant, RequestId, Text


class EventBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that the member did. `type` is what rules of kind `event` know it by; one that none knows earns 0."""

    event_id: RequestId
    type: EventType
    occurred_at: Instant
    channel: Text | None = None


_event = msgspec.json.Decoder(EventBody)


@call(
    "POST",
    "/v1/members/{member:str}/events",
    roles=STAFF,
    tag="Events",
    body=EventBody,
    example={
        "event_id": examples.EVENT.event_id,
        "type": examples.EVENT.type,
        "occurred_at": examples.EVENT.occurred_at,
        "channel": examples.EVENT.channel,
    },
    answers={201: EventReceipt, 200: EventReceipt},
    problems=(UnknownMember, IdConflict, FutureTime),
    replays=True,
)
async def record_event(request: Call) -> Reply:
    """Record an event, such as a survey or a check-in, and earn what the program gives for it.

    It counts for no tier, and is judged by its `occurred_at`, also when it arrives late.
    """
    member = in_path(request, "member")
    body = await read_json(request, _event)
    asked = Engagement(body.event_id, member, body.type, body.occurred_at, body.channel)
    validate(asked)
    return created(await submit(request, asked))


@call(
    "GET",
    "/v1/events/{event_id:str}/explain",
    roles=STAFF,
    tag="Events",
    query=ExplainQuery,
    answers={200: EventExplanation},
    problems=(NotFound,),
)
async def explain_event(request: Call) -> Reply:
    """Explain an event: each point with its rule, and the facts that it was judged by."""
    wanted = read_explain_query(request)
    event_id = id_in_path(request, "event_id")
    return reply(
        await context(request).engine.event_explanation(
            event_id, wanted.verify, wanted.words, wanted.language
        )
    )


HANDLERS = (record_event, explain_event)
