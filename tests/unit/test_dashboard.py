"""deploy/grafana/loyalty.json, as far as it can be judged without Grafana and Prometheus.

That the server gives the figures that it asks for: tests/e2e/test_telemetry.py.
"""

import json
import re
from itertools import combinations
from pathlib import Path

import promql_parser as promql
import pytest

BOARD = json.loads((Path(__file__).parents[2] / "deploy" / "grafana" / "loyalty.json").read_text())
PANELS = BOARD["panels"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
VARIABLES = {"$__rate_interval": "5m"}
"""Of Grafana's variables those that are used, with a value that each may have."""


def _filled(text: str) -> str:
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


@pytest.mark.parametrize("expression", [target["expr"] for target in TARGETS])
def test_every_expression_is_promql_about_our_figures(expression: str) -> None:
    names = []

    def visit(part: object) -> bool:
        if isinstance(part, promql.VectorSelector):
            names.append(part.name or "")
        return True

    promql.walk(promql.parse(_filled(expression)), visit)
    assert names
    assert all(name.startswith("loyalty_") for name in names)


def test_what_is_no_promql_is_seen() -> None:
    for wrong in ("sum by (le) rate(loyalty_http_requests_total[5m])", "rate(loyalty_http_requests_total)"):
        with pytest.raises(ValueError, match=r"."):
            promql.parse(wrong)


def test_legends_name_labels_that_the_expression_leaves() -> None:
    for target in TARGETS:
        for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
            assert re.search(rf"by \([^)]*\b{label}\b[^)]*\)", target["expr"]), target


def test_every_panel_asks_the_data_source_that_is_chosen() -> None:
    (chosen,) = BOARD["templating"]["list"]
    assert (chosen["type"], chosen["query"]) == ("datasource", "prometheus")
    wanted = {"type": "prometheus", "uid": f"${{{chosen['name']}}}"}
    assert all(asked["datasource"] == wanted for asked in [*PANELS, *TARGETS])


def test_panels_lie_on_the_grid_and_not_on_each_other() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
