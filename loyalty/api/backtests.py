"""Backtests: what another program would have cost, replayed beside the tills by a process of its own."""

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from loyalty.api.auth import OPS
from loyalty.api.contract import call
from loyalty.api.jobs import JobStarted
from loyalty.api.reading import Call, context, read_json
from loyalty.api.reply import Reply, reply
from loyalty.backtest import backtest
from loyalty.backtest.run import check_candidate
from loyalty.engine.validate import check_instant
from loyalty.errors import FieldError, InvalidRequest, Overloaded
from loyalty.jobs.runner import Busy, Note
from loyalty.program.parse import starter_source
from loyalty.types import Instant

PROCESSES = 1
"""A server has tills to serve: the command line uses all cores."""


class BacktestBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`program`: the candidate's file. It is in force from `from` on (default: always); what occurred from `to` on is
    left out (default: now). `verify`: decide everything again under what was in force too, and compare."""

    program: str
    format: Literal["toml", "json"] = "toml"
    from_: Instant | None = field(name="from", default=None)
    to: Instant | None = None
    verify: bool = False


_body = msgspec.json.Decoder(BacktestBody)


@call(
    "POST",
    "/v1/jobs/backtest",
    roles=OPS,
    tag="Jobs",
    body=BacktestBody,
    example={"program": starter_source()},
    answers={202: JobStarted},
    problems=(Overloaded,),
)
async def start_backtest(request: Call) -> Reply:
    """Replay the recorded history under another program, and report what would change. Nothing is posted.

    GET /v1/jobs/{job_id} has the report as `result` when it is done. The same backtest under way: its id; another one
    has to wait. A faulty program is refused with the diagnostics that a check gives.
    """
    body = await read_json(request, _body)
    held = context(request)
    for name, at in (("from", body.from_), ("to", body.to)):
        if at is not None:
            check_instant(name, at)
    now = await held.engine.now()
    until = min(body.to or now, now)
    if body.from_ is not None and body.from_ >= until:
        raise InvalidRequest(
            "The period is empty: it starts when it is over, or in the future.",
            errors=[FieldError("from", f"{body.from_.isoformat()} is not before {until.isoformat()}")],
        )
    check_candidate(await held.engine.programs(), body.program, body.format)
    url = held.settings.database_url
    assert url is not None

    async def work(note: Note) -> dict[str, Any]:
        report = await backtest(
            url,
            body.program,
            body.format,
            start=body.from_,
            end=body.to,
            vault=held.engine.vault,
            processes=PROCESSES,
            apart=True,
            verify=body.verify,
            progress=note.seen,
        )
        note.result = msgspec.json.encode(report).decode()
        return {
            "purchases": report.purchases,
            "postings": report.postings,
            "different_accounts": report.reproduced.different,
        }

    asked = msgspec.json.encode(body).decode()
    try:
        job_id = await held.jobs.start("backtest", until, work, dry_run=True, asked=asked)
    except Busy:
        raise Overloaded(
            "Another backtest is under way; start this one when it is done.", retry_after=60
        ) from None
    return reply(JobStarted(job_id), 202)


HANDLERS = (start_backtest,)
