"""Who goes into the next batch: clients take turns, and of one account a few requests go at a time, in one batch."""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

OF_ONE = 4
"""Requests about one account in a batch: each is decided on what the one before left, and the others wait for them."""


class Turns(Generic[T]):
    """What waits, in the order of its account. Who sends much waits for itself: a client for its own requests, and
    requests about one account for each other, outside of the batches of others.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[tuple[str, T]]] = {}
        """The requests about each account, with their clients, in the order in which they came. One that is empty is of
        an account whose requests are under way."""
        self._ready: OrderedDict[str, deque[Hashable]] = OrderedDict()
        """The accounts whose requests can go now, by the client of the first, in the order of their turns."""
        self._waiting = 0
        self._accounts = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def ready(self) -> int:
        """Accounts of which something can go now."""
        return self._accounts

    def waiting_about(self, account: Hashable) -> int:
        """How many requests about an account wait."""
        line = self._lines.get(account)
        return 0 if line is None else len(line)

    def add(self, one: T, account: Hashable, client: str) -> None:
        """Lets a request wait for its turn."""
        line = self._lines.get(account)
        if line is None:
            line = self._lines[account] = deque()
            self._file(account, client)
        line.append((client, one))
        self._waiting += 1

    def take(self, most: int) -> list[T]:
        """The next requests, at most so many. Of their accounts nothing more goes until these are back."""
        taken: list[T] = []
        while self._ready and len(taken) < most:
            client, theirs = self._ready.popitem(last=False)
            line = self._lines[theirs.popleft()]
            if theirs:
                self._ready[client] = theirs  # the last to have its next turn
            taken += [line.popleft()[1] for _ in range(min(OF_ONE, len(line), most - len(taken)))]
            self._accounts -= 1
        self._waiting -= len(taken)
        return taken

    def back(self, accounts: Iterable[Hashable]) -> None:
        """All that was taken about these accounts is answered: the next of them can go."""
        for account in accounts:
            line = self._lines[account]
            if line:
                self._file(account, line[0][0])
            else:
                del self._lines[account]

    def _file(self, account: Hashable, client: str) -> None:
        theirs = self._ready.get(client)
        if theirs is None:
            theirs = self._ready[client] = deque()
        theirs.append(account)
        self._accounts += 1
