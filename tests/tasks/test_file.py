"""A benchmark from a file of one's own, as its user has it: files, the command line, answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ochat_eval.benchmark.reader import Reader
from ochat_eval.benchmark.task import Answered, ScoringOptions
from ochat_eval.benchmark.template import compiled
from ochat_eval.config import allowed
from ochat_eval.data.own import OwnRows
from ochat_eval.model.chat.conversation import first_prompt
from ochat_eval.records import Item, Reading, Response, UserError, from_json, to_json
from ochat_eval.tasks.file import FromFile

ROWS: list[dict[str, Any]] = [
    {"question": "Two and three?", "choices": ["4", "5", "6"], "answer": "B"},
    {"question": "A city in France?", "choices": ["Rome", "Paris"], "answer": "Paris"},
    {"question": "The first?", "choices": ["x", "y"], "answer": 0},
    {"question": "How many legs has a spider?", "answer": 8},
    {"question": "How many days has a leap year?", "target": "366", "subset": "time"},
    {"question": "The colour of snow?", "answer": ["white", "White"]},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def task(path: str, **options: Any) -> FromFile:
    return FromFile(name="file", data="full", path=path, **options)


def values(one: FromFile, *texts: str) -> list[dict[str, float | None]]:
    """By rule, the values of one answer to each item."""
    answered = [
        Answered(item, (Response(item.id, text),))
        for item, text in zip(one.items(), texts, strict=True)
    ]
    found: dict[str, dict[str, float | None]] = {}
    for score in one.score(answered, ScoringOptions("none", 1)):
        found.setdefault(score.id, {})[score.rule] = score.value
    return [found[entry.item.id] for entry in answered]


def test_each_row_tells_its_kind_and_answers_are_read_so(tmp_path):
    one = task(write(tmp_path / "rows.jsonl", ROWS))
    items = list(one.items())
    assert list(task(one.path or "", subsets=["time"]).items()) == items
    assert [item.id for item in items] == [
        *(f"file/main/{n}" for n in range(4)), "file/time/4", "file/main/5",
    ]  # fmt: skip
    assert [item.target for item in items] == [
        ("B",), ("B",), ("A",), ("8",), ("366",), ("white", "White"),
    ]  # fmt: skip
    assert items[0].turns[0] == (
        "Two and three?\n\nA. 4\nB. 5\nC. 6\n\nAnswer with the letter of the right choice."
    )
    right = ["B", "The answer is B.", "A", "The answer is 8", "366", "The answer is white."]
    published = [1, 0, 1, 1, 1, 1]  # "The answer…": the first letter that is one is A
    for n, found in enumerate(values(one, *right)):
        assert found["robust"] == 1.0, right[n]
        if n != 1:
            assert found["published"] == published[n], right[n]
    wrong = ["C", "A", "B", "The answer is 80", "365", "The answer is black."]
    assert all(found["robust"] == 0.0 for found in values(one, *wrong))


@pytest.mark.slow
def test_formulas_are_graded_where_they_are_asked_for(tmp_path):
    rows = [{"question": "A half of x?", "answer": r"\frac{x}{2}"}]
    one = task(write(tmp_path / "rows.jsonl", rows), answer="math")
    assert one.items().__next__().turns[0].endswith(r"within \boxed{}.")
    assert values(one, r"It is $\boxed{0.5x}$.") == [{"published": 1.0, "robust": 1.0}]
    assert values(one, r"It is $\boxed{x}$.") == [{"published": 0.0, "robust": 0.0}]
    talk = [{"turns": ["A half of x?", "Twice that?"], "answer": "x"}]
    [item] = task(write(tmp_path / "rows.jsonl", talk), answer="math").items()
    said = (Response(item.id, r"$\boxed{x}$"), Response(item.id, r"$\boxed{2x}$", turn=1))
    scores = one.score([Answered(item, said)], ScoringOptions("none", 1))
    assert {(s.rule, s.turn, s.value) for s in scores} == {
        ("published", 1, 0.0), ("robust", 1, 0.0),
    }  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "folder"])
def test_the_same_rows_from_every_kind_of_file(tmp_path, form):
    rows = [{"question": f"Is {n} even?", "A": "yes", "B": "no", "answer": "A"} for n in (2, 4)]
    if form == "csv":
        path = tmp_path / "rows.csv"
        lines = ["question,A,B,answer", *(",".join(row.values()) for row in rows)]
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
        place = str(path)
    elif form == "folder":
        place = str(tmp_path / "rows")
        (tmp_path / "rows").mkdir()
        write(tmp_path / "rows/b.jsonl", rows[1:])
        write(tmp_path / "rows/a.parquet", rows[:1])
        (tmp_path / "rows/README.md").write_text("no rows")
    else:
        place = write(tmp_path / f"rows.{form}", rows)
    items = list(task(place).items())
    assert [item.turns[0].splitlines()[:4] for item in items] == [
        ["Is 2 even?", "", "A. yes", "B. no"],
        ["Is 4 even?", "", "A. yes", "B. no"],
    ]
    assert OwnRows(place).describe()["digest"]


def test_a_split_of_the_hub_lies_in_the_data_root(tmp_path, monkeypatch):
    folder = tmp_path / "hub/me/quiz/default"
    folder.mkdir(parents=True)
    write(folder / "test-00000-of-00001.parquet", [{"question": "1+1?", "answer": "2"}])
    monkeypatch.setenv("OCHAT_EVAL_DATA", str(tmp_path))
    [item] = task("hub:me/quiz@1a2b3c#default/test").items()
    assert item.target == ("2",)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(UserError, match="cannot reach"):
        list(task("hub:me/quiz@1a2b3c#default/train").items())
    with pytest.raises(UserError, match="write hub:ORG/NAME@REVISION"):
        list(task("hub:me/quiz").items())


def test_examples_come_from_the_first_rows_or_another_file(tmp_path):
    path = write(tmp_path / "rows.jsonl", ROWS[3:])
    items = list(task(path, num_fewshot=1).items())
    assert [item.index for item in items] == [1, 2]
    first = (
        "How many legs has a spider?\n\nEnd with: The answer is (a number)\n\nThe answer is 8\n\n"
    )
    assert all(item.turns[0].startswith(first) for item in items)
    more = write(tmp_path / "more.jsonl", ROWS[5:])
    items = list(task(path, num_fewshot=1, examples=more).items())
    assert len(items) == 3 and items[0].turns[0].startswith("The colour of snow?")
    with pytest.raises(UserError, match=r"tasks\.file\.num_fewshot is 3; there are 3 rows"):
        list(task(path, num_fewshot=3).items())
    with pytest.raises(UserError, match="num_fewshot is 2; there are 1 row"):
        list(task(path, num_fewshot=2, examples=more).items())


BAD: list[tuple[dict[str, Any], str]] = [
    ({"answer": "1"}, "row 1: it has no question"),
    ({"question": " ", "answer": "1"}, "row 1: it has no question"),
    ({"question": "?"}, "row 1: it has no answer .* which only answer=judge"),
    ({"question": "?", "answer": []}, "row 1: it has no answer"),
    ({"question": "?", "answer": ["a", ""]}, "row 1: it has no answer"),
    ({"question": "?", "answer": "D", "choices": ["x", "y"]}, "'D' is no letter up to B"),
    ({"question": "?", "answer": "z", "choices": ["x", "y"]}, "'z' is no letter up to B"),
    ({"question": "?", "answer": 1, "choices": ["1", "2"]}, "'1' may mean A and B; write the"),
    ({"question": "?", "answer": "B", "choices": ["B", "C"]}, "'B' may mean A and B; write"),
    ({"question": "?", "answer": "x", "choices": "x or y"}, "its choices are no list of 2 to 26"),
    ({"question": "?", "answer": "x", "choices": ["x"]}, "its choices are no list of 2 to 26"),
    ({"question": "?", "answer": "1", "subset": "a/b"}, "the subset 'a/b' is no name"),
    ({"turns": [], "answer": "1"}, "its turns are no list of texts"),
    ({"turns": "one", "answer": "1"}, "its turns are no list of texts"),
    ({"turns": ["a", " "], "answer": "1"}, "a turn of it is no text, or empty"),
    ({"turns": ["a", 2], "answer": "1"}, "a turn of it is no text, or empty"),
    ({"turns": ["a"], "question": "b", "answer": "1"}, "it has question and turns"),
    ({"question": "?", "answer": "1", "system": ["x"]}, "its system is no text"),
    ({"question": "?", "answer": "1", "cluster": {"a": 1}}, "its cluster is no text"),
]


@pytest.mark.parametrize(("row", "complaint"), BAD)
def test_a_row_that_cannot_be_asked_is_one_line(tmp_path, row, complaint):
    with pytest.raises(UserError, match=f"tasks.file: .*{complaint}"):
        list(task(write(tmp_path / "rows.jsonl", [row])).items())


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("rows.jsonl", b'{"question": 1\n', "line 1 is not JSON"),
        ("rows.jsonl", b"", "it has no rows"),
        ("rows.csv", b"question,answer\nonly one\n", "row 1 has not as many fields"),
        ("rows.csv", b"question,answer\na,b,c\n", "row 1 has not as many fields"),
        ("rows.parquet", b"PAR1 no parquet", "cannot be read"),
        ("rows.txt", b"x", "a file of rows ends in .jsonl, .csv, .parquet"),
        ("rows.jsonl", b'{"question": "\xff", "answer": "1"}', "line 1 is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: .*{complaint}"):
        list(task(str(tmp_path / name)).items())


def test_what_is_missing_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"tasks\.file\.path is not set: name a file"):
        list(FromFile(name="file", data="full").items())
    with pytest.raises(UserError, match="cannot be read"):
        list(task(str(tmp_path / "none.jsonl")).items())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="the folder has no file that ends in"):
        list(task(str(tmp_path / "empty")).items())
    packed = write(tmp_path / "rows.parquet", [{"question": "a" * 1000, "answer": "1"}] * 1000)
    monkeypatch.setattr("ochat_eval.data.own._BYTES", 100_000)
    assert Path(packed).stat().st_size < 100_000
    with pytest.raises(UserError, match="its rows are larger than"):
        list(task(packed).items())


def test_rows_with_a_system_message_turns_clusters_and_strata(tmp_path):
    rows = [
        {
            "turns": ["Think of 2.", "Double it?"],
            "answer": 4,
            "system": "Be brief.",
            "cluster": "p",
        },
        {"question": "Half of 2?", "answer": 1, "system": "", "cluster": 7, "stratum": "easy"},
    ]
    one = task(write(tmp_path / "rows.jsonl", rows))
    talk, lone = one.items()
    assert talk.turns == ("Think of 2.", "Double it?\n\nEnd with: The answer is (a number)")
    assert [m.role for m in first_prompt(talk, "Of the model.")] == ["system", "user"]
    assert first_prompt(talk, "Of the model.")[0].content == "Be brief."
    assert first_prompt(lone, "Of the model.")[0].content == "Of the model."
    assert (one.cluster(talk), one.stratum(talk)) == ("p", "main")
    assert (one.cluster(lone), one.stratum(lone)) == ("7", "easy")
    assert from_json(Item, to_json(talk)) == talk
    assert b"stratum" not in to_json(talk) and b"system" not in to_json(lone)
    table = tmp_path / "rows.csv"
    table.write_text('turns,answer,system\n"[""a"", ""b""]",4,Short.\n')
    [read] = task(str(table), prompt="{question}").items()
    assert read.turns == ("a", "b") and read.system == "Short."
    with pytest.raises(UserError, match="a row with turns or a system message is no example"):
        list(task(write(tmp_path / "rows.jsonl", rows), num_fewshot=1).items())


def test_of_a_conversation_the_last_answer_is_read(cli, tmp_path):
    turns = {"turns": ["Think of 2.", "Double it?"], "answer": 4, "cluster": "p"}
    path = write(tmp_path / "mine.jsonl", [turns, {"question": "Half of 2?", "answer": 1}])
    replies = [
        {"id": "file/main/0", "turn": 0, "text": "The answer is 4"},
        {"id": "file/main/0", "turn": 1, "text": "The answer is 5"},
        {"id": "file/main/1", "text": "The answer is 1"},
    ]
    replay = write(tmp_path / "answers.jsonl", replies)
    options = [f"tasks.file.path={path}", "engine=replay", f"engine.path={replay}", "run=q"]
    done = cli("task=file", *options)
    assert done.returncode == 0, done.stderr
    assert "file  robust     50.00" in done.stdout and "judged" not in done.stdout
    scores = (tmp_path / "results/runs/q/scores.jsonl").read_text().splitlines()
    assert [json.loads(one)["turn"] for one in scores] == [1, 1, 0, 0]
    write(tmp_path / "answers.jsonl", replies[::2])
    missing = cli("task=file", *options[:-1], "run=less")
    assert "100.00" in missing.stdout and "1 later turns or samples missing" in missing.stdout


# --- Templates -------------------------------------------------------------------------------


class Initial(Reader):
    """Answers that begin with the right letter."""

    states = "Well: {}"

    def robust(self, text: str, item: Item) -> Any:
        return Reading(text[6:7], matched=True, span=(6, 7)) if text.startswith("Well: ") else 7

    def published(self, text: str, item: Item) -> str | None:
        return text[:1] or None

    def same(self, answer: str, target: str) -> bool:
        return answer.lower() == target.lower()


def test_a_reader_of_ones_own_reads_compares_and_states(tmp_path, monkeypatch):
    monkeypatch.setattr(allowed, "_packages", [__name__])
    rows = [
        {"question": "?", "answer": ["a", "b"]},
        {"question": "!", "choices": ["x", "y"], "answer": "A"},
    ]
    named = f"{__name__}.Initial"
    one = task(write(tmp_path / "rows.jsonl", rows), answer=named)
    assert [item.turns for item in one.items()] == [("?",), ("!",)]
    assert values(one, "Well: B", "Well: C") == [
        {"published": 0.0, "robust": 1.0}, {"published": 0.0, "robust": 0.0},
    ]  # fmt: skip
    item = next(iter(one.items()))
    assert one.stated(item) == "Well: a" and Initial(name="x").stated(item) == "Well: a"
    assert one.read(item, "Well: B", "robust").span == (6, 7)
    assert not one.read(item, "", "published").matched
    with pytest.raises(UserError, match="Initial.robust returned 7 for file/main/0: return"):
        one.read(item, "other", "robust")
    shown = task(one.path or "", answer=named, num_fewshot=1)
    assert next(iter(shown.items())).turns == ("?\n\nWell: a\n\n!",)


def test_templates_of_both_kinds():
    row = {"question": "Why {x}?", "topic": "sky"}
    assert compiled("[{topic}] {question} {", "o")(row) == "[sky] Why {x}? {"
    jinja = "{% if topic %}{{ topic | upper }}: {% endif %}{{ question }}\n"
    assert compiled(jinja, "o")(row) == "SKY: Why {x}?\n"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("no field", "it names no field"),
        ("{qestion}", "has no field 'qestion'; did you mean question"),
        ("{{ qestion }}", "'qestion' is undefined"),
        ("{% if %}", "Expected"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ question.__init__.__globals__ }}", "unsafe"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{{ question }}{% endfor %}"
            "{% endfor %}",
            "over 4,000,000 characters",
        ),
        ("{{ 1 // 0 }}", "division"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe"),
    ],
)
def test_a_template_that_fails_or_attacks_is_one_line(template, complaint):
    with pytest.raises(UserError, match=f"^option: .*{complaint}"):
        compiled(template, "option")({"question": "Why is the sky blue?"})


# --- The command line ------------------------------------------------------------------------


@pytest.mark.slow
def test_planned_it_says_what_it_saw(cli, tmp_path):
    rows = [{"question": f"{n}?", "choices": ["x", "y"], "answer": "A"} for n in (1, 2, 3, 4, 4)]
    rows[1]["choices"] = ["x", "x "]
    rows[2] |= {"topic": "time"}
    rows.append({"question": "4?", "answer": "12 km", "topic": ""})
    path = write(tmp_path / "mine.jsonl", rows)
    prompt = "tasks.file.prompt={% if topic is defined %}{{ topic }}{% endif %}{{ question }}"
    done = cli("task=file", f"tasks.file.path={path}", prompt, "stage=plan")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("file: ")]
    assert said == [
        "file: answers as the rows tell: choice: 5, text: 1 (tasks.file.answer names one)",
        "file: topic is empty in 5 rows (1, 2, 4, 5, 6)",
        "file: a choice is empty or comes twice in row 2",
        "file: 2 questions come more than once, 1 of them with another right answer",
        "file: the right letter is always A",
    ]


@pytest.mark.slow
def test_gold_answers_that_cannot_be_read_back_are_named(cli, tmp_path):
    rows = [{"question": f"{n}?", "answer": gold} for n, gold in enumerate(["1", "2", "two", "x"])]
    path = write(tmp_path / "mine.jsonl", rows)
    options = [f"tasks.file.path={path}", "tasks.file.answer=number", "stage=plan"]
    done = cli("task=file", *options)
    assert "the robust rule reads 2 of 4 right answers back" in done.stderr
    assert "not those of 2 rows (3, 4)" in done.stderr


def test_a_named_benchmark_of_ones_own_from_plan_to_table(cli, tmp_path):
    (tmp_path / "mine/task").mkdir(parents=True)
    path = write(tmp_path / "mine/quiz.jsonl", ROWS)
    (tmp_path / "mine/task/quiz.yaml").write_text(
        "# @package tasks.quiz\n# our quiz\n_target_: ochat_eval.tasks.file.FromFile\n"
        f"path: {path}\n"
    )
    answers = ["B", "B", "A", "The answer is 8", "The answer is 365", "The answer is white."]
    ids = [f"quiz/{row.get('subset', 'main')}/{n}" for n, row in enumerate(ROWS)]
    replies = [{"id": i, "text": t} for i, t in zip(ids, answers, strict=True)]
    replay = write(tmp_path / "answers.jsonl", replies)
    command = [
        "--config-dir", str(tmp_path / "mine"), "task=quiz", "engine=replay",
        f"engine.path={replay}", "run=q",
    ]  # fmt: skip
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    assert "quiz  robust     83.33" in done.stdout and "†" not in done.stdout
    again = cli(*command)
    assert "finished before" in again.stderr and again.stdout == done.stdout
    reported = cli("--config-dir", str(tmp_path / "mine"), "stage=report", "run=q")
    assert reported.returncode == 0 and reported.stdout == done.stdout, reported.stderr
    assert "--config-dir" in cli("stage=report", "run=q").stderr, "what is missing is named"
    changed = [*ROWS[:-1], {**ROWS[-1], "answer": "grey"}]
    write(tmp_path / "mine/quiz.jsonl", changed)
    refused = cli(*command)
    assert refused.returncode == 2 and "prompts" in refused.stderr
