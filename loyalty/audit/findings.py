"""What an audit says: the rows that differ, and the sums of the ledger that it read."""

from collections.abc import Iterable

from msgspec import Struct

MOST_FINDINGS = 1000
"""Findings that are kept word for word; all are counted."""


class Finding(Struct, frozen=True):
    """A row that is not what the immutable rows say. `account` and `member_id` are None where it belongs to nobody."""

    account: int | None
    member_id: str | None
    table: str
    key: str
    """The rest of the row's key, as `name=value`; empty where the account says it all."""
    message: str


class Totals(Struct):
    """Sums over what was read. Points are signed as the entries are; their sum is what is outstanding."""

    accounts: int = 0
    postings: int = 0
    entries: int = 0
    lots: int = 0
    uses: int = 0
    tier_changes: int = 0
    issued: int = 0
    redeemed: int = 0
    expired: int = 0
    adjusted: int = 0
    merged: int = 0

    @property
    def outstanding(self) -> int:
        """The sum of all balances."""
        return self.issued + self.redeemed + self.expired + self.adjusted + self.merged

    @property
    def rows(self) -> int:
        """Immutable rows that belong to accounts."""
        return self.postings + self.entries + self.lots + self.uses + self.tier_changes

    def add(self, other: "Totals") -> None:
        """Adds the sums of another part of the ledger."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Findings(Struct):
    """An audit's result. `digest` covers the last hash of every account; it changes with every posting."""

    rows: list[Finding]
    count: int
    totals: Totals
    digest: str = ""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether every row is what it must be."""
        return self.count == 0

    @property
    def rows_per_second(self) -> float:
        """Immutable rows checked a second."""
        return self.totals.rows / self.seconds if self.seconds else 0.0

    def add(self, rows: Iterable[Finding], count: int) -> None:
        """Takes the findings of a part: `count` of them, of which `rows` are kept while there is room."""
        self.count += count
        self.rows.extend(list(rows)[: MOST_FINDINGS - len(self.rows)])


class Part(Struct):
    """What one range of accounts gave."""

    rows: list[Finding]
    count: int
    totals: Totals
