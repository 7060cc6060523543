"""Programs that answer questions of one's own: their tests run where they do, in the sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ochat_eval.benchmark.task import Answered, ScoringOptions
from ochat_eval.records import Response, UserError
from ochat_eval.tasks.file import FromFile

DOUBLE = {"question": "Double it.", "entry_point": "double", "tests": "assert double(2) == 4"}
CHECK = {
    "question": "Double it.",
    "entry_point": "double",
    "tests": ["def check(f):\n    assert f(2) == 4", "assert double(0) == 0"],
}


def task(folder, *rows: dict[str, Any]) -> FromFile:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FromFile(name="file", data="full", path=str(path), answer="code")


def test_the_tests_are_what_is_right(tmp_path):
    one = task(tmp_path, DOUBLE, CHECK)
    first, second = one.items()
    assert first.turns[0].endswith("Answer with the function double in a Python code block.")
    assert first.target == ("double", "assert double(2) == 4")
    assert second.target[1].endswith("assert double(0) == 0\ncheck(double)")
    assert (one.metric, one.judged, one.executes_code) == ("pass@1", False, True)


@pytest.mark.sandbox
def test_programs_run_with_their_tests(tmp_path):
    # A row may be anybody's: what its tests do, they do in the sandbox.
    leak = tmp_path / "leak"
    hostile = {**DOUBLE, "tests": f"assert double(2) == 4\nopen({str(leak)!r}, 'w')"}
    one = task(tmp_path, DOUBLE, CHECK, hostile)
    right = "```python\ndef double(x):\n    return 2 * x\n```"
    wrong = "```python\ndef double(x):\n    return x + 1\n```"
    ends = "```python\nimport sys\ndef double(x):\n    sys.exit(0)\n```"
    answered = [
        Answered(item, tuple(Response(item.id, text, n) for n, text in enumerate(texts)))
        for item, texts in zip(
            one.items(), ([right, wrong, "No idea.", ends], [right, wrong], [right]), strict=True
        )
    ]
    found = {
        (s.id.rsplit("/")[-1], s.sample): (s.value, (s.detail or {}).get("reason", ""))
        for s in one.score(answered, ScoringOptions("bwrap", 1))
        if s.rule == "robust"
    }
    assert {key: value for key, (value, _) in found.items()} == {
        ("0", 0): 1, ("0", 1): 0, ("0", 2): 0, ("0", 3): 0, ("1", 0): 1, ("1", 1): 0, ("2", 0): 0,
    }  # fmt: skip
    assert "AssertionError" in found["0", 1][1] and found["0", 2][1] == "no code"
    assert not leak.exists() and found["2", 0][1].startswith("exception: ")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"entry_point": None}, "needs a field entry_point"),
        ({"entry_point": "a b"}, "needs a field entry_point"),
        ({"tests": None}, "needs a field tests"),
        ({"tests": []}, "needs a field tests"),
        ({"tests": ["assert 1", 2]}, "needs a field tests"),
        ({"tests": "assert ("}, "its tests are no Python"),
        ({"tests": "a\0b"}, "its tests are no Python"),
    ],
)
def test_rows_without_tests_are_refused(tmp_path, change, complaint):
    with pytest.raises(UserError, match=f"row 1: .*{complaint}"):
        list(task(tmp_path, {**DOUBLE, **change}).items())
