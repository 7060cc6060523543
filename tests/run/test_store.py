"""The run directory: atomic files, the journal's repair, the identity check, full disks."""

import json
import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochat_eval.records import Item, Response, Score, UserError, Verdict, from_json, to_json
from ochat_eval.run import store
from ochat_eval.run.folder import RunDir
from ochat_eval.run.journal import Journal

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates too


def response(number: int, text: str = "yes") -> Response:
    return Response(f"gsm8k/main/{number}", text)


@given(text=ANY_TEXT, answer=st.none() | ANY_TEXT)
def test_records_survive_the_file(text, answer, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    written = [
        Item("t/s/0", "t", "s", 0, (text, "second"), (text,), None, None),
        Response("t/s/0", text, 1, 0, "stop", 3, 4),
        Score("t/s/0", 1, "robust", answer, True, 1.0, {"reason": text}),
    ]
    for record in written:
        store.write_records(path, [record])
        assert list(store.read_records(path, type(record))) == [record]


def test_fields_are_the_fixed_format():
    line = json.loads(to_json(response(0)))
    assert list(line) == [
        "id", "text", "sample", "turn", "finish_reason", "prompt_tokens", "completion_tokens",
    ]  # fmt: skip
    assert from_json(Response, '{"id": "a/b/0", "text": "x", "other": 1}') == Response("a/b/0", "x")


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning": "2 and 2"},
        {"reasoning": "", "reasoning_tokens": 0},
        {"reasoning": "\ud800", "reasoning_tokens": 5, "unfinished": True},
    ],
)
def test_a_thought_stands_in_fields_that_other_lines_do_not_have(thought):
    plain, thoughtful = Response("t/s/0", "4"), Response("t/s/0", "4", **thought)
    assert json.loads(to_json(thoughtful)) == {**json.loads(to_json(plain)), **thought}
    assert from_json(Response, to_json(thoughtful)) == thoughtful
    assert from_json(Verdict, to_json(Verdict("t/s/0", "4", judge="J", **thought))).judge == "J"


@pytest.mark.parametrize("torn", [b'{"id": "gsm8k/main/2", "te', b"{", "\u00e9".encode()[:1]])
def test_a_torn_last_line_is_cut_off(tmp_path, torn):
    path = tmp_path / "responses.jsonl"
    journal = Journal(path)
    journal.append([response(0), response(1)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    journal = Journal(path)
    assert journal.torn == len(torn)
    assert path.read_bytes() == whole
    journal.append([response(2)])
    assert [r.id[-1] for r in store.read_records(path, Response)] == ["0", "1", "2"]


def test_a_journal_without_any_line_end_is_all_torn(tmp_path):
    path = tmp_path / "responses.jsonl"
    path.write_bytes(b"x" * 200_000)
    assert Journal(path).torn == 200_000
    assert path.read_bytes() == b""


def test_a_full_disk_leaves_whole_lines(tmp_path):
    """A file size limit stands in for the full disk: the kernel refuses the write half-way."""
    script = f"""
import resource, signal
from pathlib import Path
from ochat_eval.run.journal import Journal
from ochat_eval.records import Response, UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path({str(tmp_path / "r.jsonl")!r}))
journal.append([Response("a/b/0", "x" * 500)])
resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))
try:
    journal.append([Response("a/b/1", "y" * 500)])
except UserError as e:
    print("refused:", e)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "refused: cannot write" in done.stdout, done.stderr
    assert [r.id for r in store.read_records(tmp_path / "r.jsonl", Response)] == ["a/b/0"]


def test_dev_full_is_one_line(tmp_path):
    with pytest.raises(UserError, match="No space left.*free some space"), store.writing(tmp_path):
        with open("/dev/full", "w") as file:
            file.write("x")
            file.flush()


def test_atomic_leaves_the_old_file_when_the_new_one_fails(tmp_path):
    path = tmp_path / "summary.json"
    store.write_json(path, {"score": 1})
    with pytest.raises(ZeroDivisionError), store.atomic(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert store.read_json(path) == {"score": 1}
    assert os.listdir(tmp_path) == ["summary.json"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2 is no response record"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"id": "a/b/0"}', "missing required field `text`"),
        ('{"id": 5, "text": ""}', "Expected `str`, got `int` - at `$.id`"),
        ('{"id": "a", "text": null}', "Expected `str`, got `null` - at `$.text`"),
        ('{"id": "a", "text": "", "sample": "0"}', "Expected `int`, got `str` - at `$.sample`"),
        ("[" * 100_000, "line 2 is no response record"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, complaint):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "a/b/0", "text": "x"}\n' + line + "\n")
    with pytest.raises(UserError, match=re.escape(complaint)) as caught:
        list(store.read_records(path, Response))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8"):
        list(store.read_records(path, Response))


def test_another_identity_is_refused_with_the_difference(tmp_path):
    run = RunDir(tmp_path / "run")
    store.write_json(run.file(store.MANIFEST), {"identity": {"seed": 0, "tasks": {"a": {"n": 1}}}})
    run.check_identity({"seed": 0, "tasks": {"a": {"n": 1}}})
    with pytest.raises(UserError, match=r"tasks\.a\.n: 1 there, 2 now"):
        run.check_identity({"seed": 0, "tasks": {"a": {"n": 2}}})


def test_one_process_at_a_time(tmp_path):
    held = RunDir(tmp_path)
    with pytest.raises(UserError, match="another process"):
        RunDir(tmp_path)
    del held


def test_another_file_that_is_read_meanwhile_is_not_what_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"), store.atomic(tmp_path / "a.jsonl"):
        (tmp_path / "nowhere" / "rows.jsonl").read_text()
    assert not os.listdir(tmp_path)
    for moved in (tmp_path / "gone", tmp_path / "run" / "gone"):
        with pytest.raises(UserError, match="cannot write .*run: No such"):
            with store.writing(tmp_path / "run"):
                moved.replace(tmp_path / "run" / "items.jsonl")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="results=DIR"):
        RunDir(tmp_path / "file" / "run")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["none", "BOM"])
def test_ids_are_read_with_and_without_a_mark_of_the_encoding(tmp_path, mark):
    path = tmp_path / "ids.jsonl"
    path.write_bytes(mark + b'{"id": "t/main/0"}\n\n{"id": "t/main/1"}\n')
    assert store.read_ids(path) == {"t/main/0", "t/main/1"}
