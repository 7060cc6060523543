"""`bench readings`: what counts as misread, and each bad line is one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ochat_eval.bench.readings import OUTCOMES
from tests.replays import write

ABCD = ["A", "B", "C", "D"]
PROMPT = 'def add(x, y):\n    """Adds."""\n'
CASES = [
    ("right", {"kind": "choice", "text": "The answer is B.", "labels": ABCD, "expected": "B"}),
    ("right", {"kind": "choice", "text": "I am not sure.", "labels": ABCD, "expected": None}),
    ("misread", {"kind": "choice", "text": "The answer is B.", "labels": ABCD, "expected": "A"}),
    ("unread", {"kind": "choice", "text": "I am not sure.", "labels": ABCD, "expected": "A"}),
    ("guessed", {"kind": "choice", "text": "The answer is B.", "labels": ABCD, "expected": None}),
    ("right", {"kind": "number", "text": "So 1,250 remain.", "expected": "1250"}),
    ("misread", {"kind": "number", "text": "So 1,250 remain.", "expected": "1251"}),
    ("right", {"kind": "text", "text": "The answer is **Yes**.", "options": ["yes", "no"],
               "expected": "yes"}),
    ("misread", {"kind": "text", "text": "The answer is blue.", "expected": "red"}),
    ("right", {"kind": "math", "text": "\\boxed{\\frac12}", "gold": "0.5",
               "expected": {"right": True}}),
    ("right", {"kind": "math", "text": "\\boxed{3}", "gold": "0.5", "expected": {"right": False}}),
    ("misread", {"kind": "math", "text": "\\boxed{3}", "gold": "3", "expected": {"right": False}}),
    ("misread", {"kind": "math", "text": "\\boxed{x+1}", "gold": "2x",
                 "expected": {"right": True}}),
    ("unread", {"kind": "math", "text": "No idea.", "gold": "3", "expected": {"right": True}}),
    ("right", {"kind": "math", "text": "No idea.", "gold": "3", "expected": None}),
    ("guessed", {"kind": "math", "text": "\\boxed{3}", "gold": "3", "expected": None}),
    ("right", {"kind": "code", "text": "```\n    return x + y\n```", "prompt": PROMPT,
               "entry_point": "add", "expected": "def add(x, y):\n    return x + y"}),
    ("misread", {"kind": "code", "text": "```\n    return x - y\n```", "prompt": PROMPT,
                 "entry_point": "add", "expected": "def add(x, y):\n    return x + y"}),
    ("right", {"kind": "code", "text": "    return 0", "prompt": PROMPT, "entry_point": "add",
               "expected": "compiles"}),
    ("unread", {"kind": "code", "text": "Use a loop.", "prompt": PROMPT, "entry_point": "add",
                "expected": "compiles"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("outcome", "case"), CASES)
def test_what_an_answer_counts_as(cli, tmp_path, outcome, case):
    write(tmp_path / "a.jsonl", case)
    done = cli("bench", "readings", "a.jsonl")
    assert done.returncode == 0, done.stderr
    [row] = [line for line in done.stdout.splitlines() if line.startswith(f"{case['kind']} ")]
    assert row.split()[:2] == [case["kind"], "1"]
    rates = dict(zip(OUTCOMES, row.split()[2:6], strict=True))
    assert rates == {one: "100.0" if one == outcome else "0.0" for one in OUTCOMES}
    assert row.split()[6:] == ([] if outcome == "right" else ["1"])


def test_a_folder_by_kind_and_cause_with_what_is_open_left_out(cli, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, cause in ("one", "choice: a sentence"), ("two", "choice: doubt"):
        write(folder / f"{name}.jsonl", *({**case, "cause": cause} for _, case in CASES[:5]))
    write(folder / "three.jsonl", {**CASES[2][1], "debatable": True}, CASES[5][1])
    done = cli("bench", "readings", "mine", "--record", "r.json")
    assert done.returncode == 0, done.stderr
    [table] = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert table["title"] == (
        "11 answers by the robust rules: 36.36 % misread or guessed (95 %: 15.17…64.62)"
    )
    assert [row[:2] for row in table["rows"]] == [
        ["choice", "10"], ["- a sentence", "5"], ["- doubt", "5"],
        ["number", "1"], ["- no cause named", "1"],
    ]  # fmt: skip
    assert table["rows"][0][2:] == ["40.0", "20.0", "20.0", "20.0", "one.jsonl:3"]
    assert max(map(len, done.stdout.splitlines())) <= 80


NEEDED = "is no answer with what is read in it: "
BAD = [
    ('{"kind": "choice"', "is no JSON object"),
    ("[1]", "is no JSON object"),
    ('{"text": "a", "expected": "b"}', f"{NEEDED}Object missing required field `kind`"),
    ('{"kind": "choice", "text": "a", "expected": "A"}', f"{NEEDED}a choice needs 'labels'"),
    ('{"kind": "math", "text": "a", "expected": null}', f"{NEEDED}a math needs 'gold'"),
    ('{"kind": "code", "text": "a", "expected": null}', f"{NEEDED}a code needs 'entry_point'"),
    ('{"kind": "number", "text": "a"}', f"{NEEDED}Object missing required field `expected`"),
    ('{"kind": "number", "text": "a", "expected": 4}', f"{NEEDED}Expected `str"),
    ('{"kind": "number", "text": "4", "expected": {"right": true}}', "'expected' is no str"),
    ('{"kind": "math", "text": "4", "gold": "4", "expected": "4"}', "'expected' is no verdict"),
    ('{"kind": "poem", "text": "a", "expected": "b"}', f"{NEEDED}Invalid enum value 'poem'"),
    ('{"kind": "number", "text": "\\u001b[2J", "expected": 4}', NEEDED),
]


@pytest.mark.parametrize(("line", "complaint"), BAD)
def test_a_bad_line_is_one_clear_line(cli, tmp_path, line, complaint):
    good = json.dumps(CASES[0][1])
    (tmp_path / "a.jsonl").write_text(f"{good}\n\n{line}\n")
    done = cli("bench", "readings", "a.jsonl")
    assert done.returncode == 2 and not done.stdout
    [said] = done.stderr.splitlines()
    assert said.startswith("ochat-eval bench: a.jsonl line 3 ") and complaint in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "readings: name a file or a folder of answers, as in bench readings FILE"),
        (["nowhere"], "nowhere: there is no such file, or no .jsonl file in it"),
        (["."], ".: there is no such file, or no .jsonl file in it"),
    ],
)
def test_no_answers_is_one_line(cli, arguments, complaint):
    done = cli("bench", "readings", *arguments)
    assert done.returncode == 2 and done.stderr == f"ochat-eval bench: {complaint}\n"


@pytest.mark.slow
def test_the_case_files_are_read_as_they_stand(cli, tmp_path):
    cases = Path(__file__).parents[1] / "cases"
    for name in ("readings", "readings_reworded"):
        done = cli("bench", "readings", str(cases / f"{name}.jsonl"))
        assert done.returncode == 0, done.stderr
        assert "0.00 % misread or guessed" in done.stdout
