"""What one server process holds while it runs."""

from collections import Counter
from typing import NamedTuple

from loyalty.api.limiter import Limiter
from loyalty.api.stopping import Stopping
from loyalty.engine.engine import Engine
from loyalty.jobs.runner import JobRunner
from loyalty.keys import KeyRing
from loyalty.settings import Settings


class Context(NamedTuple):
    """Made when the server starts, closed when it stops; handlers reach it by `reading.context`.

    under_way: the calls of each key that are being served.
    """

    settings: Settings
    engine: Engine
    keys: KeyRing
    jobs: JobRunner
    limiter: Limiter | None
    stopping: Stopping
    under_way: Counter[str]
