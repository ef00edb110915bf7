"""The HTTP application: all routes, one guard each, one table of problems, and what the process holds."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Tag

from loyalty.api import (
    accounts,
    acts,
    backtests,
    batch,
    events,
    health,
    jobs,
    keys,
    members,
    privacy,
    program,
    purchases,
    redemptions,
    reports,
    returns,
    rewards,
    sandbox,
    vouchers,
)
from loyalty.api.buffers import keep_buffers
from loyalty.api.context import Context
from loyalty.api.contract import complete
from loyalty.api.limiter import Limiter
from loyalty.api.methods import Methods
from loyalty.api.metrics import keep_figures
from loyalty.api.observer import Observer
from loyalty.api.page import OfflineSwagger, front
from loyalty.api.patience import open_connections, watch
from loyalty.api.problems import handle
from loyalty.api.stopping import Stopping
from loyalty.api.traces import open_traces
from loyalty.engine.engine import Engine
from loyalty.jobs.runner import JobRunner
from loyalty.jobs.scheduler import LOOK_SECONDS, SANDBOX_LOOK_SECONDS, Scheduler
from loyalty.keys import KeyRing
from loyalty.members.vault import Vault
from loyalty.rates import parse_rates
from loyalty.schedule import parse_schedule
from loyalty.settings import Settings

GC_THRESHOLD = 50_000
"""Young objects before a collection: requests make many that die by themselves."""

_RESOURCES = (
    members,
    privacy,
    purchases,
    batch,
    returns,
    events,
    redemptions,
    rewards,
    vouchers,
    accounts,
    program,
    jobs,
    backtests,
    reports,
    keys,
    acts,
    health,
)
_DESCRIPTION = """Points, tiers and redemptions of a retailer's loyalty program.

Amounts are integers of the currency's minor unit, points are integers, times are RFC 3339 with an offset. Every
posting carries an id of yours: repeat it freely after a time-out, it has its effect once and gets the same answer."""


def create_app(settings: Settings) -> Litestar:
    """Make the application for a database that is migrated already (`settings.database_url` is not None)."""
    traces = open_traces()

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        assert settings.database_url is not None
        engine = await Engine.open(settings.database_url, Vault(settings.secret_keys))
        ring = KeyRing(settings.database_url, settings.admin_key)
        runner = JobRunner(engine)
        look_seconds = SANDBOX_LOOK_SECONDS if settings.sandbox else LOOK_SECONDS
        scheduler = Scheduler(engine, runner, parse_schedule(settings.schedule), look_seconds=look_seconds)
        rates = parse_rates(settings.rate_limit)
        limiter = Limiter(rates, settings.redis_url) if rates else None
        stopping = Stopping(settings.drain_seconds)
        beside = [
            asyncio.create_task(watch(), name="slow clients"),
            asyncio.create_task(keep_figures(engine), name="figures"),
        ]
        try:
            await ring.open()
            app.state["context"] = Context(settings, engine, ring, runner, limiter, stopping, Counter())
            scheduler.open()
            stopping.open()
            gc.collect()
            gc.freeze()
            gc.set_threshold(GC_THRESHOLD, 20, 20)
            keep_buffers()
            open_connections()
            yield
        finally:
            stopping.close()
            for task in beside:
                task.cancel()
            await scheduler.close()
            await runner.close()
            await ring.close()
            if limiter is not None:
                await limiter.close()
            await engine.close()
            if traces is not None:
                traces.close()

    resources = (*_RESOURCES, sandbox) if settings.sandbox else _RESOURCES
    app = Litestar(
        route_handlers=[front, *(handler for resource in resources for handler in resource.HANDLERS)],
        lifespan=[running],
        exception_handlers={Exception: handle},
        openapi_config=_openapi(),
        logging_config=None,
        request_max_body_size=None,
        debug=False,
    )
    complete(app)
    methods = Methods(app)
    app.state["methods"] = methods
    app.asgi_handler = Observer(methods, settings)
    if traces is not None:
        app.asgi_handler = traces.around(app.asgi_handler)
    return app


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(
        type="http",
        scheme="bearer",
        description="An API key: `loyalty keys create --role pos --name till-3`; or a member's token.",
    )
    tags = (
        "Members", "Points", "Purchases", "Returns", "Redemptions", "Rewards", "Program", "Jobs", "Reports", "Keys",
        "Health",
    )  # fmt: skip
    return OpenAPIConfig(
        title="Loyalty points engine",
        version=version("loyalty"),
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        components=Components(security_schemes={"key": bearer}),
        security=[{"key": []}],
        tags=[Tag(name=tag) for tag in tags],
        path="/schema",
        render_plugins=[OfflineSwagger()],
    )
