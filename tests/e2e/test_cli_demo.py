"""`loyalty demo`: the whole way from real baskets to the picture, with a ledger that the audit finds clean."""

import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.shell import COMMAND, environment


@pytest.mark.slow
def test_the_demo_ends_with_a_picture_a_clean_audit_and_a_server_to_try(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [*COMMAND, "demo", "--households", "4", "--picture", "demo.svg"],
            cwd=tmp_path,
            env=environment(None),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    shown = ""
    try:
        for line in process.stdout:
            shown += line
            if line.startswith("All calls:"):
                break
        assert "✔ audit: clean" in shown
        assert "4 members" in shown
        in_tiers = re.search(r"member (\d+) .*silver (\d+) .*gold (\d+) ", shown)
        assert in_tiers is not None
        assert sum(map(int, in_tiers.groups())) == 4
        assert shown.count("curl ") == 3
        call = next(line for line in shown.splitlines() if "/v1/reports/liability" in line).split()
        key = next(part for part in call if part.startswith("demo-")).strip("'")
        url = next(part for part in call if part.startswith("http"))
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(asked, timeout=20) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode == 0
    assert '"level":"error"' not in (tmp_path / "errors").read_text()
    assert (tmp_path / "demo.svg").read_text().startswith("<svg")


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / ".loyalty-demo" / "precious"
    precious.parent.mkdir()
    precious.write_text("x")
    done = subprocess.run(
        [*COMMAND, "demo", "--households", "1", "--exit"],
        cwd=tmp_path,
        env=environment(None),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "not the demo's" in done.stderr
    assert precious.exists()
