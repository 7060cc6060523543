"""Judging by inputs: on small problems of our own, and on HumanEval+ against EvalPlus itself."""

from __future__ import annotations

import ast
import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochat_eval.__main__ import main
from ochat_eval.benchmark.task import Answered, ScoringOptions, make_item
from ochat_eval.pipeline import run
from ochat_eval.records import RULES, Response, Score, UserError
from ochat_eval.report.summary import summarise_task
from ochat_eval.run import store
from ochat_eval.sandbox import ground_truth as reference
from ochat_eval.sandbox.compared import IoProblem
from ochat_eval.sandbox.ground_truth import (
    Truth,
    Truths,
    check_ground_truth,
    ground_truth,
    truths_file,
)
from ochat_eval.sandbox.io_checks import IoCheck, IoVerdict, run_io_checks
from ochat_eval.sandbox.plain import decode, digest, encode
from ochat_eval.tasks.humaneval import PROBLEMS, HumanEval

pytestmark = pytest.mark.sandbox

SQUARES = IoProblem(
    "humaneval",
    "squares",
    "def squares(n):\n    return [i * i for i in range(n)]\n",
    "",
    "def check(candidate): assert candidate(3) == [0, 1, 4]",
    {"base": [[0], [3]], "plus": [[1], [2000]]},  # the last answer is kept as a digest
    0,
)
HALVES = IoProblem(
    "humaneval",
    "halves",
    "def halves(xs):\n    return [x / 2 for x in xs]\n",
    "",
    "def check(candidate): assert candidate([1, 2]) == [0.5, 1]",
    {"base": [[[1, 2]]], "plus": [[[3]], [list(range(500))]]},
    0,
)
# EvalPlus knows the name: a root is judged by the polynomial's value there.
ROOT = IoProblem(
    "humaneval",
    "find_zero",
    "def find_zero(xs):\n    return -xs[0] / xs[1]\n",
    "def value(xs, x): return xs[0] + xs[1] * x",
    "def check(candidate): assert value([2, 1], candidate([2, 1])) == 0",
    {"base": [[[2, 1]]], "plus": [[[9, 3]], [[-1, 8]]]},
    1e-4,
)
PROBLEMS_HERE = [SQUARES, HALVES, ROOT]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder of the tests' own, for the whole session."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def truths(cache) -> list[Truths]:
    return ground_truth(PROBLEMS_HERE, sandbox="bwrap", workers=2)


def verdict(problem: IoProblem, truths: list[Truths], program: str) -> IoVerdict:
    check = IoCheck(program, problem, truths[PROBLEMS_HERE.index(problem)])
    [(_, found)] = run_io_checks([check], sandbox="bwrap", workers=1)
    return found


# --- Ground truth ----------------------------------------------------------------------------


def test_ground_truth_is_read_from_the_cache_and_made_anew_where_it_is_damaged(cache, truths):
    path = truths_file(HALVES)
    assert path.is_relative_to(cache)
    good = path.read_bytes()

    def again(sandbox: str) -> list[Truths]:
        return ground_truth(PROBLEMS_HERE, sandbox=sandbox, workers=1)

    assert again("there is none") == truths, "what is cached needs no sandbox"
    body = gzip.decompress(good)
    middle = len(good) // 2
    garbled = good[:middle] + b"garbled" + good[middle + 7 :]
    for damaged in (
        good[:-20],
        garbled,
        b"",
        b"no gzip",
        gzip.compress(body.replace(b"1.5", b"2.5")),
    ):
        path.write_bytes(damaged)
        answers = [
            t.answer for one in again("bwrap") for kind in one.answers.values() for t in kind
        ]
        assert answers == [
            t.answer for one in truths for kind in one.answers.values() for t in kind
        ]
        assert gzip.decompress(path.read_bytes()) != damaged
    assert [t.digested for t in truths[0].answers["plus"]] == [False, True]
    assert not any(t.digested for t in truths[1].answers["plus"]), "floats have a tolerance"


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        ("def check(candidate): pass", "ZeroDivisionError: division by zero"),
        ("def check(candidate): assert candidate(1) == 2", "its own test: assertion"),
    ],
)
def test_a_reference_that_fails_is_an_error_and_not_a_truth(cache, test, complaint):
    inputs = {"base": [[1], [0]], "plus": []}
    broken = IoProblem("humaneval", "f", "def f(x): return 1 / x", "", test, inputs, 0)
    with pytest.raises(RuntimeError, match=f"reference solution of f failed: .*{complaint}"):
        ground_truth([broken], sandbox="bwrap", workers=1)
    assert not truths_file(broken).exists()


def test_each_answer_is_kept_the_moment_that_it_is_there(cache, monkeypatch):
    def cut(problems, *_):
        own = dict.fromkeys(("base", "plus"), ("", False))
        yield 1, Truths({"base": [Truth(2, False, 0.0)], "plus": []}, own)
        raise KeyboardInterrupt

    problems = [
        IoProblem("humaneval", "f", f"def f(x): return {n}", "", "", {"base": [[1]], "plus": []}, 0)
        for n in (1, 2)
    ]
    monkeypatch.setattr(reference, "_compute", cut)
    with pytest.raises(KeyboardInterrupt):
        ground_truth(problems, sandbox="bwrap", workers=1)
    monkeypatch.undo()
    assert [truths_file(problem).exists() for problem in problems] == [False, True]
    found = ground_truth(problems[1:], sandbox="there is none", workers=1)
    assert found[0].answers["base"] == [Truth(2, False, 0.0)]


def test_a_cache_that_cannot_be_written_is_refused_unless_all_is_there(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    with pytest.raises(UserError, match="cannot write .*XDG_CACHE_HOME names the cache"):
        check_ground_truth(lambda: [SQUARES])
    monkeypatch.setattr(reference.Path, "exists", lambda path: True)
    check_ground_truth(lambda: [SQUARES])


# --- Verdicts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "program", "base", "plus"),
    [
        (SQUARES, "def squares(n): return [i ** 2 for i in range(n)]", "", ""),
        (SQUARES, "def squares(n): return [float(i * i) for i in range(n)]", "", ""),
        (SQUARES, "def squares(n): return tuple(i * i for i in range(n))", *["wrong answer: base input 0"] * 2),
        (SQUARES, "def squares(n): return [0, 1, 4][:n]", "", "wrong answer: plus input 1"),
        (SQUARES, "def squares(n): return [0, 1, 4][:n] if n < 9 else 1 / 0", "",
         "exception: ZeroDivisionError: division by zero"),
        (SQUARES, "def other(n): pass", *["exception: NameError: name 'squares' is not defined"] * 2),
        (SQUARES, "def squares(n", *["does not compile: SyntaxError: '(' was never closed (solution.py, line 1)"] * 2),
        (SQUARES, "calls = []\ndef squares(n):\n calls.append(n)\n"
         " return [i * i for i in range(n)] if len(calls) < 3 else None", "", ""),
        (HALVES, "def halves(xs): return [x * (0.5 + 1e-9) for x in xs]", "", ""),
        (HALVES, "def halves(xs): return [x * (0.5 + 1e-4) for x in xs]", *["wrong answer: base input 0"] * 2),
        (HALVES, "def halves(xs): return [x // 2 for x in xs] if len(xs) == 1 else [x / 2 for x in xs]",
         "", "wrong answer: plus input 0"),
        (ROOT, "def find_zero(xs): return -xs[0] / xs[1] + (0 if xs[1] == 1 else 0.1)", "",
         "wrong answer: plus input 0"),
        (ROOT, "def find_zero(xs): return 7", *["wrong answer: base input 0"] * 2),
        (ROOT, "def find_zero(xs): return float('nan')", *["wrong answer: base input 0"] * 2),
    ],
)  # fmt: skip
def test_verdicts(truths, problem, program, base, plus):
    found = verdict(problem, truths, program)
    assert (found.base, found.plus) == (base, plus)


def test_right_answers_that_evalplus_does_not_count(truths):
    found = verdict(ROOT, truths, "def find_zero(xs): return -xs[0] / xs[1] + 1e-6")
    assert found == IoVerdict("", "", uncounted=True)


def test_a_reference_that_evalplus_finds_unequal_to_itself(cache):
    source, test = "def f(x): return x * float('inf')", "def check(candidate): pass"
    problem = IoProblem("humaneval", "f", source, "", test, {"base": [[1]], "plus": [[0]]}, 0)
    truths = ground_truth([problem], sandbox="bwrap", workers=1)
    assert truths[0].own == {"base": ("", False), "plus": ("wrong answer: plus input 0", False)}
    [(_, found)] = run_io_checks([IoCheck(source, problem, *truths)], sandbox="bwrap", workers=1)
    assert found == IoVerdict("", "wrong answer: plus input 0")


def test_an_endless_loop_is_stopped_by_processor_time(truths):
    found = verdict(SQUARES, truths, "def squares(n):\n    while n: pass\n    return []")
    assert (found.base, found.plus) == ("time limit", "time limit")


RIGHT = "def squares(n):\n    return [i * i for i in range(n)] if n < 9 else "


def forging(node: str) -> str:
    """A program that sends a node of the wire format in the place of its answer."""
    return (
        "import contextlib, functools, json, os\ndef answer():\n"
        f" d = json.dumps(['value', {node}, 0.0]).encode()\n"
        " for f in range(3, 9):\n"
        "  with contextlib.suppress(OSError): os.write(f, len(d).to_bytes(4, 'big') + d)\n"
        + RIGHT
        + "answer()"
    )


HOSTILE = {
    "equal to all": RIGHT + "type('E', (), {'__eq__': lambda *_: True})()",
    "a list equal to all": RIGHT + "type('E', (list,), {'__eq__': lambda *_: True})()",
    "answers itself": "import os, sys\n" + RIGHT + "os._exit(0)",
    "replaces the digest": "import hashlib, sys\n" + RIGHT
    + "setattr(hashlib, 'sha256', lambda _: type('H', (), {'hexdigest': lambda _: ''})())",
    "replaces the encoder": "import sys\n" + RIGHT
    + "sys.modules['__main__'].__dict__.update(digest=lambda _: 'right')",
    "as deep as the wire allows": "import functools\n" + RIGHT
    + "functools.reduce(lambda x, _: [x], range(100), 1)",
    "looks for what is expected": "import gc\n" + RIGHT
    + "next((x for x in gc.get_objects() if type(x) is list and len(x) == n), [])",
    "forges a message": "import contextlib, json, os\ndef answer():\n"
    " d = json.dumps(['value', '0' * 64, 0.0]).encode()\n"
    " for f in range(3, 9):\n"
    "  with contextlib.suppress(OSError): os.write(f, len(d).to_bytes(4, 'big') + d)\n"
    + RIGHT + "answer()",
    "forges what cannot be sent again": forging("functools.reduce(lambda x, _: ['list', x], range(150), 1)"),
    "forges integers of one hash": forging("['set', *(['int', hex(i * (2**61 - 1))] for i in range(1, 200_001))]"),
    "forges a million lists": forging("['list', *([['list']] * 1_000_000)]"),
}  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_programs_pass_base_but_never_plus(truths, attack):
    found = verdict(SQUARES, truths, HOSTILE[attack])
    assert found.base == "" and found.plus


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(0, 3) | st.booleans() | st.floats(0, 3), inner, max_size=3)
        | st.sets(st.integers(0, 2) | st.sampled_from([0.0, 1.0, 2.5]), max_size=3)
    ),
    max_leaves=5,
)


@given(PLAIN, PLAIN)
def test_digests_are_the_same_for_what_is_equal_and_only_for_that(one, other):
    assert (digest(one) == digest(other)) == (one == other)
    assert digest(decode(encode(one))) == digest(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (True, 1), (0, -0.0), (2**100, 2.0**100),
        ([1, 2.0], [True, 2]), ({1: 2.0, 3: 4}, {3: 4.0, 1.0: 2}), ({1, 2}, frozenset([2.0, 1])),
        (2 + 0j, 2), (float(2**70), 2**70), ([2.0**70, 1], [2**70, 1.0]),
        ([2 + 0j, 1], [2, True]), ([-0.0, 0.5], [False, 0.5]), ([[1], 2 + 0j], [[True], 2.0]),
    ],
)  # fmt: skip
def test_equal_in_other_types(one, other):
    assert one == other and digest(one) == digest(other)


# --- HumanEval+ itself -----------------------------------------------------------------------


@pytest.fixture
def plus_task(real_data, cache) -> HumanEval:
    return HumanEval(name="humaneval", data="full", plus=True)


def replies(task: HumanEval, programs: dict[int, str]) -> list[Answered]:
    items = list(task.items())
    return [
        Answered(items[i], (Response(items[i].id, f"```python\n{program}\n```"),))
        for i, program in programs.items()
    ]


@pytest.mark.timeout(900)  # half a minute on two idle cores, ground truth included
def test_reference_solutions_pass_all_but_the_one_that_evalplus_cannot_count(plus_task, cache):
    """The published version of the problems; the cross-check below has the later one."""
    rows = PROBLEMS["v0.1.9"].load()
    programs = {i: row["prompt"] + row["canonical_solution"] for i, row in enumerate(rows)}
    scores = list(plus_task.score(replies(plus_task, programs), ScoringOptions("bwrap", 2)))
    failed = {
        rule: [(s.id, s.value, s.detail["plus"]) for s in scores
               if s.rule == rule and not (s.value == 1 and s.detail["plus"] is True)]
        for rule in ("published", "robust")
    }  # fmt: skip
    assert len(scores) == 2 * 164
    assert failed == {"published": [("humaneval/main/32", 0.0, False)], "robust": []}
    [mended] = [s for s in scores if s.rule == "robust" and "mended" in s.detail]
    assert mended.id == "humaneval/main/32" and "oracle" in mended.detail["mended"]
    assert sum(file.stat().st_size for file in cache.rglob("*.json.gz")) < 1_000_000


SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.FloorDiv: ast.Div, ast.Div: ast.FloorDiv,
}  # fmt: skip


def mutant(source: str, rng: random.Random) -> str:
    """The source with one operator swapped, one number off by one, or one early return."""
    tree = ast.parse(source)
    changes = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            changes.append(lambda n=node: n.ops.__setitem__(0, SWAPS[type(n.ops[0])]()))
        if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
            changes.append(lambda n=node: setattr(n, "op", SWAPS[type(n.op)]()))
        if isinstance(node, ast.Constant) and type(node.value) is int:
            changes.append(lambda n=node: setattr(n, "value", n.value + rng.choice([-1, 1])))
        if isinstance(node, ast.Return) and node.value is not None:
            changes.append(lambda n=node: setattr(n, "value", ast.List([n.value], ast.Load())))
    rng.choice(changes)()
    return ast.unparse(ast.fix_missing_locations(tree))


def hurried(row: dict) -> str:
    """The reference solution, which gives up on inputs longer than any of the base tests."""
    longest, name = max(len(repr(args)) for args in row["base_input"]), row["entry_point"]
    return (
        f"{row['prompt']}{row['canonical_solution']}\nwhole = {name}\n"
        f"def {name}(*args):\n    return whole(*args) if len(repr(args)) <= {longest} + 1 else None"
    )


def evalplus_says(data: Path, samples: Path) -> dict[int, tuple[bool, bool]]:
    """The verdicts, base and plus, of EvalPlus' own command by the problem's number.

    Its time limit, which is wall time, is one that a busy machine keeps too.
    """
    subprocess.run(
        [sys.executable, "-m", "evalplus.evaluate", "--dataset", "humaneval", "--samples", samples,
         "--parallel", "2", "--min_time_limit", "4", "--gt_time_limit_factor", "10"],
        env={**os.environ, "HUMANEVAL_OVERRIDE_PATH": str(data)}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    found = json.loads(samples.with_name("samples_eval_results.json").read_text())["eval"]
    return {
        int(name.removeprefix("HumanEval/")): (
            one["base_status"] == "pass",
            one["base_status"] == one["plus_status"] == "pass",
        )
        for name, [one] in found.items()
    }


@pytest.mark.timeout(900)  # half a minute on two idle cores; EvalPlus needs as long again
def test_agrees_with_evalplus_on_exported_solutions_of_mixed_quality(
    real_data, cache, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows, rng = PROBLEMS["v0.1.10"].load(), random.Random(7)
    programs = []
    for i, row in enumerate(rows):
        source = row["prompt"] + row["canonical_solution"]
        programs.append(
            ast.unparse(ast.parse(source))
            if i % 4 == 0
            else hurried(row)
            if i % 4 == 1
            else mutant(source, rng)
        )
    lines = [
        {"task_id": row["task_id"], "solution": program}
        for row, program in zip(rows, programs, strict=True)
    ]
    Path("made.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    humaneval = ["humaneval", "tasks.humaneval.problems=v0.1.10"]
    imported = ["import", "evalplus", "made.jsonl", "--task", *humaneval, "-o", "responses.jsonl"]
    assert main(imported) == 0
    replay = ["engine=replay", "engine.path=responses.jsonl", "workers=2", "run=mixed"]
    run([f"task={humaneval[0]}", humaneval[1], *replay])
    ours = {
        (score.id, score.rule): (score.value == 1, (score.detail or {})["plus"])
        for score in store.read_records(Path("results/runs/mixed/scores.jsonl"), Score)
    }
    assert main(["export", "evalplus", "mixed", "-o", "samples.jsonl"]) == 0
    theirs = evalplus_says(
        real_data / "evalplus/HumanEvalPlus-v0.1.10.jsonl", tmp_path / "samples.jsonl"
    )
    for i, said in theirs.items():
        assert ours[f"humaneval/main/{i}", "published"] == said, programs[i]
        if rows[i]["entry_point"] != "find_zero":
            assert ours[f"humaneval/main/{i}", "robust"] == said, programs[i]
    assert theirs[32] == (False, False) and ours["humaneval/main/32", "robust"] == (True, True)
    kinds = list(theirs.values())
    assert len(kinds) == 164
    assert min(kinds.count(kind) for kind in ((True, True), (True, False), (False, False))) >= 20


def test_pass_at_k_of_base_and_of_plus():
    task = HumanEval(name="humaneval", n=4)
    passed = [[(1, 1), (1, 0), (1, 0), (0, 0)], [(1, 1), (1, 1), (0, 0), (0, 0)]]
    judged = []
    for i, samples in enumerate(passed):
        item = make_item(task, "main", i, "", "")
        responses = tuple(Response(item.id, "x", k) for k in range(4))
        scores = [
            Score(item.id, k, rule, "x", True, base, {"plus": bool(plus)})
            for k, (base, plus) in enumerate(samples)
            for rule in RULES
        ]
        judged.append((Answered(item, responses), scores))
    found = summarise_task(task, judged, 2, 2)["robust"]
    # 1 - C(n-c, k) / C(n, k), by hand: c is 3 and 2 of base, 1 and 2 of plus.
    assert found["pass@k"] == pytest.approx({"1": 62.5, "2": 100 * (1 + 5 / 6) / 2, "4": 100})
    assert found["plus"]["pass@k"] == pytest.approx(
        {"1": 37.5, "2": 100 * (1 / 2 + 5 / 6) / 2, "4": 100}
    )
    assert (found["score"], found["plus"]["score"]) == (62.5, 37.5)


def test_plus_is_judged_where_the_problems_have_it():
    options = ScoringOptions("bwrap", 1)
    for plus, problems in (
        (None, "package"),
        (False, "package"),
        (True, "v0.1.9"),
        (None, "v0.1.9"),
    ):
        HumanEval(name="humaneval", data="full", problems=problems, plus=plus).check_scoring(
            options
        )
    HumanEval(name="humaneval", data="sample").check_scoring(options)
    with pytest.raises(UserError, match="plus needs the problems of HumanEval"):
        HumanEval(name="humaneval", data="full", problems="package", plus=True).check_scoring(
            options
        )
