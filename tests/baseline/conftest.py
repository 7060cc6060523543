"""What the gate's tests share."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ochat_eval.baseline.command import record
from tests.replays import REPLAY, sample_answers, write


def verdicts(file: str) -> dict[str, str]:
    """Per task what a JUnit file says, and the file's own counts checked against it."""
    root = ET.parse(file).getroot()
    [suite] = root
    found = {}
    for case in suite.iter("testcase"):
        [problem] = list(case) or [None]
        found[case.get("name")] = "PASS" if problem is None else problem.get("type")
        assert problem is None or (problem.tag == "failure") == (problem.get("type") == "FAIL")
    for element in (root, suite):
        assert int(element.get("tests")) == len(found)
        assert int(element.get("failures")) == list(found.values()).count("FAIL")
        assert int(element.get("errors")) == sum(
            v in ("INCONCLUSIVE", "REFUSED") for v in found.values()
        )
    return found


@pytest.fixture
def small(cli, tmp_path, monkeypatch) -> Path:
    """A run of the sample items, recorded without reruns."""
    write(tmp_path / "a.jsonl", *sample_answers())
    assert cli(*REPLAY).returncode == 0
    monkeypatch.chdir(tmp_path)
    assert record(["r", "--as", "alone"]) == 0
    return tmp_path
