"""Results that are kept between runs: never another one than was added, whatever lies there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Answered, ScoringOptions
from ochat_eval.config.load import job
from ochat_eval.records import Reading, Response
from ochat_eval.sandbox import kept as module
from ochat_eval.sandbox.kept import Kept, rules_digest
from ochat_eval.tasks import math

KIND = tuple[bool, Reading | None]
FOUND = (True, Reading("½\n\ud800", matched=True, span=(3, 5)))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def opened(rules: str = "ab12") -> Kept:
    return Kept("grades", rules, KIND)


def filled() -> Kept:
    with opened() as kept:
        for number in range(70):  # more than are written at once
            kept.add(["robust", f"{number}", "½"], (bool(number % 2), None))
        kept.add(["robust", "\ud800", "½"], (True, Reading("½", matched=True, span=(3, 5))))
    return kept


def test_the_next_run_has_what_was_kept_and_other_rules_have_nothing():
    filled()
    again = opened()
    assert again.get(["robust", "7", "½"]) == (True, None)
    assert again.get(["robust", "8", "½"]) == (False, None)
    assert again.get(["robust", "\ud800", "½"]) == (True, Reading("½", matched=True, span=(3, 5)))
    assert again.get(["published", "7", "½"]) is None
    assert opened("cd34").get(["robust", "7", "½"]) is None


def test_half_a_line_and_changed_ones_are_passed_over_and_more_can_be_kept():
    path = filled().path
    lines = path.read_bytes().splitlines()
    whole = len([line for line in lines if line])
    flip = (b"[true", b"[false") if b"[true" in lines[5] else (b"[false", b"[true")
    changed = lines[5].replace(*flip)
    shape = b'["aa","no verdict"]'
    junk = [changed, b"junk", b"", b"\xff" * 90, module._check(shape) + shape, lines[9][:40]]
    path.write_bytes(b"\n".join([*lines[:5], *lines[6:], *junk]))
    with opened() as kept:
        assert len(kept._known) == whole - 1
        kept.add("new", (True, None))
    assert opened().get("new") == (True, None) and len(opened()._known) == whole


@pytest.mark.parametrize("spoil", ["writable by others", "a link", "a folder", "a pipe"])
def test_a_file_that_others_may_have_made_is_not_read(spoil, tmp_path, capsys):
    path = filled().path
    if spoil == "writable by others":
        path.chmod(0o666)
    else:
        moved = path.rename(tmp_path / "moved")
        make = {"a link": lambda: path.symlink_to(moved), "a folder": path.mkdir}
        make.get(spoil, lambda: os.mkfifo(path))()
    with opened() as kept:
        assert kept.get(["robust", "7", "½"]) is None
        kept.add("new", (True, None))
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("results are not kept for the next run: ")


def test_a_file_that_has_grown_large_is_begun_anew(monkeypatch):
    path = filled().path
    monkeypatch.setattr(module, "MOST_BYTES", path.stat().st_size)
    with opened() as kept:
        assert kept.get(["robust", "7", "½"]) is None
        kept.add("new", (True, None))
    assert path.stat().st_size < 200


def test_files_of_older_rules_are_removed_but_for_the_latest(tmp_path):
    for number in range(6):
        with opened(f"{number:02}") as kept:
            kept.add("one", (True, None))
        os.utime(kept.path, (number, number))
    other = kept.path.with_name("other-00.jsonl")
    other.touch()
    with opened("ff") as kept:
        kept.add("one", (True, None))
    left = sorted(file.name for file in kept.path.parent.iterdir())
    assert left == ["grades-04.jsonl", "grades-05.jsonl", "grades-ff.jsonl", "other-00.jsonl"]


def test_the_digest_of_rules_is_of_every_file_and_version(tmp_path):
    (tmp_path / "rules").mkdir()
    file, other = tmp_path / "rules" / "a.py", tmp_path / "b.py"
    file.write_text("x = 1")
    other.write_text("y = 1")
    first = rules_digest(tmp_path / "rules", other, versions=["1.0"])
    assert first == rules_digest(tmp_path / "rules", other, versions=["1.0"])
    assert first != rules_digest(tmp_path / "rules", other, versions=["1.1"])
    other.write_text("y = 2")
    assert first != rules_digest(tmp_path / "rules", other, versions=["1.0"])
    other.write_text("y = 1")
    (tmp_path / "rules" / "new.py").touch()
    assert first != rules_digest(tmp_path / "rules", other, versions=["1.0"])


@pytest.mark.slow
def test_math_is_graded_once_and_then_needs_no_process(monkeypatch):
    [task] = job(["task=math", "data=sample"]).tasks.values()
    texts = (r"\boxed{\frac{1+x}{2}}", r"The answer is $2\cdot 3$", r"\boxed{9^{9^{9^{9}}}}")
    answered = [
        Answered(item, tuple(Response(item.id, text, n) for n, text in enumerate(texts)))
        for item in list(Selection(task, 0))[:1]
    ]
    monkeypatch.setattr(math, "SECONDS", 2.0)

    def scores() -> set:
        found = task.score(answered, ScoringOptions("none", 1))
        return {(s.id, s.sample, s.rule, s.value, s.answer, repr(s.detail)) for s in found}

    asked: list = []
    real = math.run_jobs

    def noting(function, jobs, **options):
        here = options.pop("here")

        def noted(one):
            found = here(one)
            if found is None:
                asked.append(one)
            return found

        return real(function, jobs, here=noted, **options)

    monkeypatch.setattr(math, "run_jobs", noting)
    first = scores()
    assert len(first) == 6 and len(asked) >= 3
    assert len({one for one in first if "time limit" in one[-1]}) == 1
    asked.clear()
    assert scores() == first
    assert len(asked) == 1, "what was stopped is tried again, nothing else"


def test_a_kill_in_the_midst_costs_only_what_was_not_written():
    code = (
        "import os; from ochat_eval.sandbox import kept as m\n"
        "k = m.Kept('grades', 'ab12', bool)\n"
        "for i in range(m._AT_ONCE + 5): k.add(i, True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    again = Kept("grades", "ab12", bool)
    assert len(again._known) == module._AT_ONCE and again.get(3) is True
