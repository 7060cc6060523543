"""What a manifest says of looks: plain values, whoever wrote them."""

from __future__ import annotations

import pytest

from ochat_eval.records import UserError
from ochat_eval.run.sequential import read_sequential

LOOKED = {"planned": 40, "looks": [20, 40], "look": 1, "verdict": "PASS", "stopped": True}


def said(**changed):
    task = {**LOOKED, **changed}
    return {"sequential": {"against": "b", "mode": "same", "margin": 1, "tasks": {"t": task}}}


def test_what_was_stopped_is_told_and_a_run_without_looks_has_none():
    assert read_sequential({}, "m") is None
    assert read_sequential(said(), "m").stopped["t"].look == 1
    assert read_sequential(said(stopped=False), "m").stopped == {}
    assert read_sequential(said(planned=0, looks=[], look=0, stopped=False), "m").stopped == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"look": 3},
        {"look": -1},
        {"look": 0},
        {"planned": 0},
        {"looks": []},
        {"looks": [0, 40]},
        {"looks": [40, 40]},
        {"looks": [20, 30]},
        {"looks": ["a"]},
        {"verdict": 1},
        {"look": "1"},
    ],
)
def test_looks_that_cannot_be_are_one_line(changed):
    with pytest.raises(UserError, match=r"^m is no manifest of a run: sequential: "):
        read_sequential(said(**changed), "m")
