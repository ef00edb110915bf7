"""Kills a till with -9 at the first, second, third … line of loyalty/client that it runs, until one gets through.

    python tests/e2e/outbox_kills.py URL KEY FOLDER

Each till has a file of its own, sells twice to `li` and takes half of one sale back. A second process then does the
same again, as a till does that does not know how far it came, and so finishes it. Prints how many tills there were.
"""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from loyalty.client import Client, Outbox
from loyalty.types import Purchase, PurchaseLine, Return, ReturnLine

WATCHED = f"{os.sep}loyalty{os.sep}client{os.sep}"
AT = datetime.now(UTC) - timedelta(hours=2)


def sell(till: int, url: str, key: str, folder: Path) -> int:
    """What a till does; returns how many items wait after it."""
    outbox = Outbox(folder / f"{till}.db")
    client = Client(url, key)
    lines = (PurchaseLine("LAMP-1", 10_000),)
    outbox.put(Purchase(f"{till}/1", "li", AT, "pos", lines))
    outbox.put(Return(f"{till}/back", f"{till}/1", AT + timedelta(hours=1), (ReturnLine(1, amount=5_000),)))
    outbox.post(client, Purchase(f"{till}/2", "li", AT, "pos", lines))
    assert outbox.refusals() == []
    return outbox.waiting()


def killed_at(line: int, *asked: Any) -> bool:
    """Let a till of its own process sell until it has run so many lines; whether it was killed before it was done."""
    child = os.fork()
    if child == 0:
        left = line

        def count(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if WATCHED not in frame.f_code.co_filename:
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count

        sys.settrace(count)
        os._exit(sell(*asked))
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def main() -> None:
    url, key, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    till = 1
    while killed_at(till, till, url, key, folder):
        assert sell(till, url, key, folder) == 0
        till += 1
    print(till)


if __name__ == "__main__":
    main()
