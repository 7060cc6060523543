"""Memory does not grow with the number of items: runs in processes of their own, by their peaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(folder: Path, kind: str, count: int) -> dict[str, Any]:
    """What `endless_task.py` prints, every answer there once."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests/stages/endless_task.py"), kind, str(count)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["answers"] == count
    return found


def peak(found: dict[str, Any], stage: str) -> int:
    return int(found[stage]["peak_mib"])


def test_a_run_of_ten_times_the_items_takes_no_more_memory(tmp_path):
    small, large = (run(tmp_path / str(n), "replay", n) for n in (3_000, 30_000))
    assert large["scored"] == 30_000
    # Generating: nothing but the index's own cache. Scoring: the numbers for the statistics,
    # some hundred bytes an item at the most, where the items themselves, 81 MB, take over 3,000.
    assert peak(large, "generate") - peak(small, "generate") < 12
    assert peak(large, "score") - peak(small, "score") < 20


def test_nor_does_the_driver_of_two_replicas(tmp_path):
    # One run, looked at twice. Its items are all made before the first answer: see the test above.
    found = run(tmp_path / "ray", "ray", 170_000)
    assert peak(found, "generate") - found["early_peak_mib"] < 10
