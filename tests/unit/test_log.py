"""Logging: one JSON object a line, whoever logs."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from loyalty.log import set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_our_events_and_those_of_libraries_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", "json")
    structlog.get_logger().info("purchase_recorded", purchase_id="T-1", points=12)
    logging.getLogger("uvicorn.error").warning("stopped %s", "early")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["purchase_id"], ours["points"], ours["level"]) == (
        "purchase_recorded",
        "T-1",
        12,
        "info",
    )
    assert (theirs["event"], theirs["level"]) == ("stopped early", "warning")


def test_what_is_below_the_level_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", "console")
    structlog.get_logger().info("hidden")
    structlog.get_logger().warning("shown", account=7)
    text = capsys.readouterr().err
    assert "hidden" not in text
    assert "shown" in text


def test_an_exception_is_logged_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", "json")
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: broken" in json.loads(capsys.readouterr().err)["exception"]
