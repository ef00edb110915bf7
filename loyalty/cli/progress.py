"""Long work made visible: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from loyalty.cli.session import tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SECONDS_BETWEEN_LINES = 3.0


class Reporter:
    """Shows what is being done. Call it with the step's name, what is done and of how much (0: not known).

    May be called from any thread.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._task: TaskID | None = None
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
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
            text = f"{self._title}: {step}"
            if self._task is None:
                self._task = self._bar.add_task(text, total=None)
            self._bar.update(self._task, description=text, completed=done, total=total or None)
            return
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            tell(f"{self._title}: {step} {done:,}" + (f" of {total:,}" if total else ""))
