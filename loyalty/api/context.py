"""What one server process holds while it runs."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loyalty.api.jobs import JobRunner
    from loyalty.engine.engine import Engine
    from loyalty.keys import KeyRing
    from loyalty.settings import Settings


class Context(NamedTuple):
    """Made when the server starts, closed when it stops; handlers reach it by `reading.context`."""

    settings: "Settings"
    engine: "Engine"
    keys: "KeyRing"
    jobs: "JobRunner"
