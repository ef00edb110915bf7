"""Long work made visible: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from types import TracebackType

from loyalty.cli.session import tell

_SECONDS_BETWEEN_LINES = 3.0


class Reporter:
    """Shows what is being done. Call it with the step's name, what is done and of how much (0: not known).

    May be called from any thread.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._tasks: dict[str, int] = {}
        self._bar = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> "Reporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._bar is not None:
            task = self._tasks.get(step)
            if task is None:
                task = self._tasks[step] = self._bar.add_task(f"{self._title}: {step}", total=None)
            self._bar.update(task, completed=done, total=total or None)  # type: ignore[arg-type]
            return
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            tell(f"{self._title}: {step} {done:,}" + (f" of {total:,}" if total else ""))
