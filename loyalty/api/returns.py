"""Returns of goods whose purchase is not known."""

import msgspec

from loyalty.api import examples
from loyalty.api.auth import SHOPS
from loyalty.api.contract import call
from loyalty.api.posting import submit
from loyalty.api.reading import Call, read_json
from loyalty.api.reply import Reply, created
from loyalty.engine.answers import ReturnReceipt
from loyalty.engine.validate import validate
from loyalty.errors import FutureTime, IdConflict, ReturnNotAllowed, UnknownMember
from loyalty.types import UnlinkedReturn

_return = msgspec.json.Decoder(UnlinkedReturn)


@call(
    "POST",
    "/v1/returns",
    roles=SHOPS,
    tag="Returns",
    body=UnlinkedReturn,
    example=examples.UNLINKED_RETURN,
    answers={201: ReturnReceipt, 200: ReturnReceipt},
    problems=(UnknownMember, IdConflict, ReturnNotAllowed, FutureTime),
    replays=True,
)
async def record_unlinked_return(request: Call) -> Reply:
    """Return goods without a known purchase; judged by the base rules of the day, or refused, as the program says."""
    asked = await read_json(request, _return)
    validate(asked)
    return created(await submit(request, asked))


HANDLERS = (record_unlinked_return,)
