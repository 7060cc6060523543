"""Memory does not grow with the number of items: a whole run at two sizes, each its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, environment


def peaks(folder: Path, count: int) -> dict[str, int]:
    """Peak resident MiB of a whole run by stage."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests" / "endless_task.py"), str(count)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["n"], found["missing"]) == (count, 0)
    return {stage: found[stage]["peak_mib"] for stage in ("generate", "score")}


@pytest.mark.timeout(600)
def test_a_run_of_ten_times_the_items_takes_no_more_memory(tmp_path):
    small, large = peaks(tmp_path / "small", 6_000), peaks(tmp_path / "large", 60_000)
    # Generating: nothing but the index's own cache. Scoring: the numbers for the statistics,
    # some hundred bytes an item at the most, where the items themselves take over 3,000.
    assert large["generate"] - small["generate"] < 16
    assert large["score"] - small["score"] < 24
