"""Which lines a rule selects (`where`), and which lines earn nothing at all (`exclude`)."""

from collections.abc import Callable, Sequence

from loyalty.program.model import Selector
from loyalty.rules.facts import Line

LineTest = Callable[[Line], bool]
LineFilter = Callable[[Sequence[Line]], Sequence[Line]]


def line_test(selector: Selector | None, known: str = "") -> LineTest | None:
    """A predicate on lines, or None when every line passes.

    `known` names the part (sku, category or tag) that the caller has looked up, so it is not asked again.
    """
    if selector is None:
        return None
    tests = [test for name, test in _tests(selector) if name != known]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda line: all(test(line) for test in tests)


def without(selector: Selector | None) -> LineFilter | None:
    """Takes out of a basket the lines that a selector selects; None: there is none, and every line stays."""
    if selector is None:
        return None
    categories = selector.category
    if categories is not None and selector == Selector(category=categories):
        return lambda lines: [line for line in lines if line.category not in categories]
    test = line_test(selector)
    if test is None:
        return lambda _: ()
    return lambda lines: [line for line in lines if not test(line)]


def _tests(selector: Selector) -> list[tuple[str, LineTest]]:
    """One predicate for each part that is asked for, the cheapest first."""
    tests: list[tuple[str, LineTest]] = []
    if (skus := selector.sku) is not None:
        tests.append(("sku", lambda line: line.sku in skus))
    if (other_skus := selector.not_sku) is not None:
        tests.append(("not_sku", lambda line: line.sku not in other_skus))
    if (categories := selector.category) is not None:
        tests.append(("category", lambda line: line.category in categories))
    if (other_categories := selector.not_category) is not None:
        # A line without a category is in none of them.
        tests.append(("not_category", lambda line: line.category not in other_categories))
    if (tags := selector.tag) is not None:
        tests.append(("tag", lambda line: not tags.isdisjoint(line.tags)))
    if (other_tags := selector.not_tag) is not None:
        tests.append(("not_tag", lambda line: other_tags.isdisjoint(line.tags)))
    if (least := selector.min_quantity) is not None:
        tests.append(("min_quantity", lambda line: line.quantity >= least))
    return tests
