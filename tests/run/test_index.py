"""The index of a records file: every record found again, duplicates and strangers named."""

import subprocess
import sys

import pytest

from ochat_eval.records import Response, Score, UserError
from ochat_eval.run.index import Index
from ochat_eval.run.store import write_records


def responses(tmp_path, *records):
    path = tmp_path / "responses.jsonl"
    write_records(path, records)
    return Index(path, Response)


def test_an_items_records_come_by_sample_and_turn_however_they_stand_in_the_file(tmp_path):
    made = [
        Response(f"t/main/{i}", f"é{i} {sample} {turn}\n" * i, sample, turn)
        for sample in (10, 2, 0)
        for turn in (1, 0)
        for i in range(50)
    ]
    index = responses(tmp_path, *made)
    assert len(index) == 300
    for i in range(50):
        wanted = [r for r in made if r.id == f"t/main/{i}"]
        assert index.of(f"t/main/{i}") == sorted(wanted, key=lambda r: (r.sample, r.turn))
    assert index.of("t/main/50") == []


def test_strangers_are_named_once_and_in_order(tmp_path):
    index = responses(tmp_path, Response("b", ""), Response("a", ""), Response("a", "", 1))
    assert index.unknown([]) == ["a", "b"]
    assert index.unknown(iter(["b", "c"])) == ["a"]
    assert index.unknown(["a", "b"]) == []


def test_the_same_record_twice_is_refused_with_its_name(tmp_path):
    with pytest.raises(UserError, match=r"two responses of 'a', sample 1 turn 0"):
        responses(tmp_path, Response("a", "", 1), Response("a", ""), Response("a", "x", 1))


def test_scores_of_both_rules_and_of_several_turns_are_apart(tmp_path):
    scores = [
        Score("a", 0, rule, None, False, None if turn else 1.0, None, turn)
        for rule in ("published", "robust")
        for turn in (0, 1)
    ]
    write_records(tmp_path / "scores.jsonl", scores)
    assert {(s.rule, s.turn, s.value) for s in Index(tmp_path / "scores.jsonl", Score).of("a")} == {
        (s.rule, s.turn, s.value) for s in scores
    }


def test_ids_with_lone_surrogates_and_nul_stay_apart(tmp_path):
    names = ["a\ud800", "a\ud801", "a\\ud800", "a\0b", "a"]
    index = responses(tmp_path, *(Response(name, repr(name)) for name in names))
    assert [[r.text for r in index.of(name)] for name in names] == [[repr(n)] for n in names]


@pytest.mark.slow
def test_no_room_for_the_index_is_one_clear_line(tmp_path):
    path = tmp_path / "responses.jsonl"
    write_records(path, (Response(f"t/main/{i}", "") for i in range(200_000)))
    script = """
import resource, sys
from pathlib import Path
from ochat_eval.run.index import Index
from ochat_eval.records import Response, UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    Index(Path(sys.argv[1]), Response)
except UserError as e:
    print(e)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    [line] = done.stdout.splitlines()
    assert line.startswith("the temporary index cannot be written") and "SQLITE_TMPDIR" in line
