"""Rows become the request that a till would have sent, or are refused with the line and what to do."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from loyalty.importing.documents import Builder, Built
from loyalty.importing.source import DOCUMENT_COLUMNS
from loyalty.importing.stage import PURCHASE, RETURN, Unit
from loyalty.importing.values import Rejected
from loyalty.types import Purchase, Return, ReturnLine, UnlinkedReturn

AT = "2026-01-01T10:00:00+00:00"


def row(number: int, **said: str) -> list[str]:
    given = {"kind": "purchase", "purchase_id": "P", "member_ref": "m1", "occurred_at": AT, "channel": "pos"}
    given |= {"line": str(number), "sku": "X", "quantity": "1", "line_amount": "10.00"} | said
    return [given.get(column, "") for column in DOCUMENT_COLUMNS] + [str(number + 1)]


def purchase(*rows: list[str], builder: Builder | None = None) -> Purchase:
    built = (builder or Builder(2)).build(Unit(PURCHASE, "P", "", False, list(rows)))
    assert isinstance(built, Built), built
    assert isinstance(built.request, Purchase)
    return built.request


def rejected(*rows: list[str], kind: int = PURCHASE, original: str = "") -> Rejected:
    built = Builder(2).build(Unit(kind, rows[0][1], original, False, list(rows)))
    assert isinstance(built, Rejected), built
    return built


def back(number: int, **said: str) -> list[str]:
    given = {"kind": "return", "purchase_id": "R", "quantity": "-1", "line_amount": "-10.00"}
    return row(number, **(given | {"original_purchase_id": "P", "original_line": "1"} | said))


def paid(request: Purchase) -> list[tuple[str, int | Decimal, int]]:
    return [(line.sku, line.quantity, line.amount) for line in request.lines]


def test_lines_stand_in_their_order_whatever_the_file_says() -> None:
    forward = purchase(row(1, sku="a"), row(2, sku="A"), row(3))
    assert purchase(row(3), row(1, sku="a"), row(2, sku="A")) == forward
    assert [line.sku for line in forward.lines] == ["a", "A", "X"]


def test_a_row_says_what_its_line_is() -> None:
    (line,) = purchase(row(4, quantity="0.285", line_amount="0.125", discount="0.1", category="FOOD")).lines
    assert (line.line, line.quantity, line.amount) == (4, Decimal("0.285"), 13)
    assert (line.list_amount, line.category) == (23, "FOOD")


def test_free_lines_and_zero_quantities_are_kept() -> None:
    lines = paid(purchase(row(1, line_amount="0"), row(2, quantity="0", line_amount="0.89")))
    assert lines == [("X", 1, 0), ("X", 0, 89)]


def test_a_missing_amount_is_quantity_times_price() -> None:
    (line,) = purchase(row(1, quantity="3", line_amount="", unit_price="0.335")).lines
    assert line.amount == 101


def test_a_coupon_worth_more_than_its_line_is_spread_over_the_others() -> None:
    rows = [
        row(1, line_amount="6.00"),
        row(2, line_amount="3.00"),
        row(3, quantity="0", line_amount="0", coupon="5"),
    ]
    assert [amount for _, _, amount in paid(purchase(*rows))] == [266, 134, 0]


def test_coupons_beyond_the_basket_leave_nothing_to_pay() -> None:
    rows = [row(1, line_amount="1.00"), row(2, quantity="0", line_amount="0", coupon="5")]
    assert [amount for _, _, amount in paid(purchase(*rows))] == [0, 0]


def test_a_discount_line_lowers_the_goods_in_proportion_and_keeps_the_total() -> None:
    rows = [row(n, line_amount=text) for n, text in ((1, "0.10"), (2, "0.10"), (3, "0.10"))]
    request = purchase(*rows, row(4, sku="DISCOUNT", line_amount="-0.10"))
    assert sum(line.amount for line in request.lines) == 20
    assert all(0 <= line.amount <= 10 for line in request.lines)


def test_a_void_takes_back_goods_of_its_sku() -> None:
    rows = [
        row(1, quantity="3", line_amount="9.00"),
        row(2, quantity="-1", line_amount="-3.00"),
        row(3, sku="Y"),
    ]
    assert paid(purchase(*rows)) == [("X", 2, 600), ("Y", 1, 1000)]


def test_a_document_below_zero_is_no_purchase() -> None:
    assert (
        rejected(row(1, line_amount="1"), row(2, sku="D", line_amount="-2")).reason == "total is below zero"
    )


def test_a_return_adds_up_the_rows_of_one_line() -> None:
    rows = [back(1), back(2, quantity="-2", line_amount="-20.005"), back(3, original_line="7")]
    built = Builder(2).build(Unit(RETURN, "R", "P", True, rows))
    assert isinstance(built, Built)
    assert isinstance(built.request, Return)
    assert (built.request.return_id, built.request.purchase_id) == ("R/P", "P")
    assert built.request.lines == (ReturnLine(1, 3, 3001), ReturnLine(7, 1, 1000))


def test_a_return_without_a_purchase_bears_the_documents_own_id() -> None:
    rows = [back(1, original_purchase_id="", original_line="")]
    built = Builder(2).build(Unit(RETURN, "R", "", False, rows))
    assert isinstance(built, Built)
    assert isinstance(built.request, UnlinkedReturn)
    assert built.request.return_id == "R"
    assert [(line.quantity, line.amount) for line in built.request.lines] == [(1, 1000)]


def test_a_return_taken_as_unlinked_keeps_its_id_so_that_it_cannot_count_twice() -> None:
    built = Builder(2).build(Unit(RETURN, "R", "P", False, [back(1)]), unlinked=True)
    assert isinstance(built, Built)
    assert isinstance(built.request, UnlinkedReturn)
    assert built.request.return_id == "R/P"


def test_anonymous_documents_are_nobodys() -> None:
    assert Builder(2).build(Unit(PURCHASE, "P", "", False, [row(1, member_ref="")])) is None


@pytest.mark.parametrize(
    ("ref", "member"),
    [("m-1", "m-1"), ("card:77", "card:77"), ("shop/4711", "ext:shop/4711"), ("x:1", "ext:x:1")],
)
def test_a_member_ref_is_a_member_id_if_its_shape_allows(ref: str, member: str) -> None:
    assert purchase(row(1, member_ref=ref)).member == member


def test_times_without_offset_mean_the_zone_that_is_given() -> None:
    zoned = Builder(2, ZoneInfo("Asia/Shanghai"))
    request = purchase(row(1, occurred_at="2026-01-01 08:00:00"), builder=zoned)
    assert request.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"occurred_at": "2026-01-01 10:00:00"}, "occurred_at is unusable"),
        ({"occurred_at": "soon"}, "occurred_at is unusable"),
        ({"member_ref": "m 1"}, "member_ref is unusable"),
        ({"kind": "gift"}, "kind is unknown"),
        ({"channel": ""}, "channel is missing"),
        ({"sku": " "}, "sku is missing"),
        ({"sku": "x" * 129}, "sku is too long"),
        ({"sku": "a\x00b"}, "invalid-request"),
        ({"quantity": "many"}, "quantity is no number"),
        ({"quantity": "NaN"}, "quantity is no number"),
        ({"quantity": "1e12"}, "invalid-request"),
        ({"quantity": "-1"}, "signs disagree"),
        ({"line_amount": "1,5"}, "line_amount is no number"),
        ({"line_amount": ""}, "line_amount is missing"),
        ({"line_amount": "1e20"}, "line_amount is too large"),
        ({"coupon": "-1"}, "coupon is negative"),
        ({"line": "0"}, "line is out of range"),
        ({"line": "one"}, "line is no whole number"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_line(said: dict[str, str], reason: str) -> None:
    found = rejected(row(1, **said))
    assert found.reason == reason
    assert found.lines == [2]


def test_one_bad_row_refuses_its_whole_document() -> None:
    found = rejected(row(1), row(2, line_amount="?"), row(3))
    assert (found.detail, found.lines) == ("line 3: line_amount is '?'", [2, 3, 4])


def test_a_line_number_that_stands_twice_is_refused() -> None:
    assert rejected(row(1), [*row(1)[:-1], "9"]).detail == "line 9: line number 1 is in line 2 too"


def test_one_document_has_one_member() -> None:
    assert rejected(row(1), row(2, member_ref="m2")).reason == "several members"


def test_a_return_must_say_which_line() -> None:
    assert rejected(back(1, original_line=""), kind=RETURN, original="P").reason == "original_line is missing"


def test_an_id_that_requests_may_not_carry_is_refused() -> None:
    assert rejected(row(1, purchase_id="P 1")).reason == "purchase_id is unusable"
    assert rejected(row(1, purchase_id="")).reason == "purchase_id is missing"
