"""Other tools' formats, through the command line that a user types; then scored by a replay."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ochat_eval.__main__ import main
from ochat_eval.benchmark.selection import Selection
from ochat_eval.config.load import job
from ochat_eval.exchange import FORMATS, parquet
from ochat_eval.pipeline import run as replay
from tests.conftest import lines


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, *records: object) -> str:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


def asked(*overrides: str) -> list:
    return [item for task in job(overrides).tasks.values() for item in Selection(task, 0)]


def imported(capsys, format_: str, file: str, *items: str) -> tuple[list[dict], list[str]]:
    """The responses that an import makes, and what it says."""
    assert main(["import", format_, file, *items, "-o", "responses.jsonl"]) == 0
    return lines(Path("responses.jsonl")), capsys.readouterr().out.splitlines()


def scored(run: str, *overrides: str) -> dict[tuple, tuple]:
    """What a replay of responses.jsonl scores: (value, detail) by id, sample and rule."""
    replay(["engine=replay", "engine.path=responses.jsonl", f"run={run}", *overrides])
    scores = lines(Path(f"results/runs/{run}/scores.jsonl"))
    return {(s["id"], s["sample"], s["rule"]): (s["value"], s["matched"]) for s in scores}


# --- The command line ------------------------------------------------------------------------


def test_help_names_every_format(capsys):
    for direction in ("import", "export"):
        with pytest.raises(SystemExit, match="0"):
            main([direction, "--help"])
        shown = capsys.readouterr().out
        for name, one in FORMATS.items():
            assert (f"\n  {name} " in shown) == (direction in one.directions)
            assert (one.text[:20] in shown) == (direction in one.directions)


SOLVED = {"task_id": "sample/0", "solution": "x"}
ASKED = {"doc_id": 0, "doc": {"question": "?"}, "resps": [["4"]]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_", "content", "complaint"),
    [
        ("evalplus", "{broken\n", "bad line 1 is no JSON object"),
        ("evalplus", json.dumps(SOLVED) + "\n[1]\n", "bad line 2 is no JSON object: it holds list"),
        ("evalplus", json.dumps(SOLVED) + '\n\n{"task_id": "sample/1"}\n', "bad line 3: the field 'completion' is missing"),
        ("evalplus", '{"task_id": 7, "solution": "x"}\n', "bad line 1: the field 'task_id' is int, not text"),
        ("evalplus", '{"task_id": "HumanEval/0", "solution": "x"}\n', "answers none of 3 items asked: 1 not imported"),
        ("evalplus", b"\xff\xfe\n", "bad line 1 is not UTF-8 text"),
        ("openchat", "[1]", "bad entry 0 is no object but int"),
        ("openchat", "{}", "bad is no JSON list"),
        ("openchat", '[{"question": "x"}]', "bad entry 0: the field 'response' is missing"),
        ("openchat", "[" * 100_000, "bad is not JSON"),
        ("openchat", "[]", "bad answers none of 3 items asked"),
        ("lm_eval", '{"doc_id": 0, "doc": {}}\n', "bad line 1 is no sample of lm-eval"),
        ("lm_eval", json.dumps(ASKED) + "\n", "answers none of 3 items asked: 1 not imported, no item asked"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line_and_writes_nothing(capsys, format_, content, complaint):
    Path("bad").write_bytes(content if isinstance(content, bytes) else content.encode())
    task = ["--task", "humaneval", "data=sample", "limit=3"]
    assert main(["import", format_, "bad", *task, "-o", "out.jsonl"]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown and shown.count("\n") == 1
    assert not list(Path().glob("*out.jsonl*"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["import", "evalplus", "none", "--task", "humaneval", "data=sample"], "cannot read none"),
        (["import", "evalplus", "none", "--task", "gsm8k", "data=sample"], "have no code"),
        (["import", "evalplus", "none", "--task", "humanevl"], "did you mean humaneval?"),
        (["import", "evalplus", "none", "--run", "r"], "r: there is no such run"),
        (["export", "parquet", "r"], "r: there is no such run"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments, complaint):
    assert main([*arguments, "-o", "out"]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown and shown.count("\n") == 1 and not Path("out").exists()


def test_the_file_that_is_read_is_not_written_over(capsys):
    file = write("a.jsonl", {"task_id": "HumanEval/53", "completion": "    return x + y"})
    Path("link.jsonl").symlink_to(file)
    before = Path(file).read_text()
    for output in (file, f"./{file}", "link.jsonl"):
        items = ("--task", "humaneval", "tasks.humaneval.problems=package")
        assert main(["import", "evalplus", file, *items, "-o", output]) == 2
        assert "this is the file that is read" in capsys.readouterr().err
    assert Path(file).read_text() == before


# --- EvalPlus --------------------------------------------------------------------------------


@pytest.mark.slow
def test_evalplus_samples_are_scored_exported_and_scored_the_same(capsys):
    [task] = job(["task=humaneval", "data=sample"]).tasks.values()
    rows = task._rows()
    right = [row["prompt"] + row["canonical_solution"] for row in rows]
    write(
        "samples.jsonl",
        *({"task_id": row["task_id"], "solution": right[i]} for i, row in enumerate(rows)),
        *(
            {"task_id": row["task_id"], "completion": "    return None\n" if i else row["canonical_solution"]}
            for i, row in enumerate(rows)
        ),
        {"task_id": "other/1", "solution": "x"},
    )  # fmt: skip
    humaneval = ("task=humaneval", "data=sample", "tasks.humaneval.n=2")
    found, said = imported(
        capsys, "evalplus", "samples.jsonl", "--task", "humaneval", *humaneval[1:]
    )
    assert [(r["id"], r["sample"]) for r in found] == [
        (f"humaneval/main/{i}", sample) for sample in (0, 1) for i in range(len(rows))
    ]
    assert said[1:] == [
        f"1 not imported, the items asked have no such task_id: line {2 * len(rows) + 1}, other/1"
    ]
    scores = scored("a", *humaneval)
    for (item, sample, _), score in scores.items():
        assert score == (float(sample == 0 or item.endswith("/0")), True)
    for rule in ("published", "robust"):
        assert main(["export", "evalplus", "a", "--rule", rule, "-o", "again.jsonl"]) == 0
        exported = lines(Path("again.jsonl"))
        assert [one["task_id"] for one in exported] == [
            row["task_id"] for row in rows for _ in (0, 1)
        ]
        imported(capsys, "evalplus", "again.jsonl", "--run", "a")
        assert scored(rule, *humaneval) == scores


def test_answers_without_a_program_are_exported_as_they_are_and_counted(capsys):
    [item] = asked("task=humaneval", "data=sample", "limit=1")
    write("responses.jsonl", {"id": item.id, "text": "I cannot."})
    scored("b", "task=humaneval", "data=sample", "limit=1")
    assert main(["export", "evalplus", "b", "--rule", "robust", "-o", "samples.jsonl"]) == 0
    assert [one["solution"] for one in lines(Path("samples.jsonl"))] == ["I cannot."]
    said = capsys.readouterr().out
    assert f"1 answers without a program that the robust rule finds: {item.id}" in said
    assert "problems without an answer; evalplus.evaluate wants all: " in said


# --- openchat --------------------------------------------------------------------------------


def test_openchat_results_are_scored_as_openchat_scored_them(capsys):
    items = asked("task=gsm8k", "data=sample")
    entries = [
        {
            "question": item.turns[0], "label": item.target[0], "task_name": "fs_cothub/gsm8k/gsm8k_test",
            "task_type": "fs_cothub/gsm8k", "is_matched": True, "is_correct": i % 3 == 0,
            "response": f"The answer is {item.target[0] if i % 3 == 0 else 'minus ' + '9' * 20}.",
            "answer": item.target[0] if i % 3 == 0 else "9" * 20,
        }
        for i, item in enumerate(items)
    ]  # fmt: skip
    entries[1]["response"] = ""
    others = [{**entries[0], "question": "Who?"}, {**entries[0], "response": "again"}]
    Path("results.json").write_text(json.dumps(entries[::-1] + others, indent=2))
    found, said = imported(capsys, "openchat", "results.json", "--task", "gsm8k", "data=sample")
    assert len(found) == len(items)
    assert said[1:] == [
        f"1 imported as empty answers (or openchat got none): {items[1].id}",
        f"1 not imported, their questions are none of the items asked: entry {len(items)} of fs_cothub/gsm8k/gsm8k_test",
        f"1 not imported, their questions are answered already: entry {len(items) + 1} of fs_cothub/gsm8k/gsm8k_test",
    ]  # fmt: skip
    scores = scored("a", "task=gsm8k", "data=sample")
    for item, entry in zip(items, entries, strict=True):
        assert scores[item.id, 0, "published"][0] == entry["is_correct"], item.id


@pytest.mark.slow
def test_published_prompts_are_found_by_their_text(capsys, parity):
    prompts = lines(parity / "published_prompts.jsonl")
    names = ["mmlu", "gsm8k", "bbh_mc", "bbh_cot", "agieval", "truthfulqa"]
    entries = [{"question": p["prompt"], "response": p["id"], "task_name": "t"} for p in prompts]
    Path("results.json").write_text(json.dumps(entries))
    found, said = imported(capsys, "openchat", "results.json", "--task", *names)
    assert len(found) == len(prompts) > 100 and len(said) == 2
    assert all(response["text"] == response["id"] for response in found)


# --- lm-eval ---------------------------------------------------------------------------------


def sample(place: int, question: str, texts: list[str], **more: object) -> dict:
    """A line as lm-eval 0.4.13 writes it."""
    return {
        "doc_id": place, "doc": {"question": question, "answer": "#### 4"}, "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {question}\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [texts], "filtered_resps": ["4"], "filter": "strict-match",
        "metrics": ["exact_match"], "exact_match": 1.0, **more,
    }  # fmt: skip


def test_lm_eval_samples_are_matched_by_place_and_question(capsys):
    items = asked("task=gsm8k", "data=sample")
    questions = [i.turns[0].rpartition("Question: ")[2].strip() for i in items]
    same = {"gen_args_0": {"arg_0": json.dumps([{"role": "user", "content": items[3].turns[0]}])}}
    write(
        "samples_gsm8k.jsonl",
        *(sample(i, questions[i], [f"The answer is {items[i].target[0]}"] * 2) for i in (0, 1, 2)),
        sample(3, questions[3], ["1", "2"], arguments=same),
        sample(0, questions[0], [f"The answer is {items[0].target[0]}"] * 2, filter="flexible"),
        sample(1, questions[1], ["other", "texts"]),
        sample(2, questions[1], ["x"]),
        sample(4, "", ["x"]),
        {**sample(5, questions[5], []), "resps": [[[-1.5, False]], [[-2.5, True]]]},
    )
    found, said = imported(
        capsys, "lm_eval", "samples_gsm8k.jsonl", "--task", "gsm8k", "data=sample"
    )
    assert [(r["id"], r["sample"]) for r in found] == [
        (items[i].id, k) for i in range(4) for k in (0, 1)
    ]
    asked_otherwise, *dropped, missing = said[1:]
    assert asked_otherwise.startswith("3 imported, but the model was asked with another prompt")
    assert [line.rpartition(": ")[2] for line in dropped] == [
        "line 6, doc_id 1", "line 7, doc_id 2", "line 8, doc_id 4", "line 9, doc_id 5",
    ]  # fmt: skip
    assert missing.startswith(f"{len(items) - 4} items have no response")
    overrides = ("task=gsm8k", "data=sample", "tasks.gsm8k.n=2")
    scores = scored("a", *overrides)
    assert [scores[items[i].id, 0, "robust"][0] for i in range(4)] == [1, 1, 1, 0]


# --- Parquet ---------------------------------------------------------------------------------


def test_parquet_has_every_response_and_score(capsys, monkeypatch):
    import pandas

    items = asked("task=gsm8k", "data=sample")
    texts = [f"So {i}.\ud800 The answer is {item.target[0]}" for i, item in enumerate(items)]
    write(
        "responses.jsonl",
        *({"id": item.id, "sample": k, "text": texts[i] * k, "finish_reason": "stop"}
          for k in (1, 0) for i, item in enumerate(items)),
    )  # fmt: skip
    scored("a", "task=gsm8k", "data=sample", "tasks.gsm8k.n=2")
    monkeypatch.setattr(parquet, "_ROWS", 10)
    assert main(["export", "parquet", "a", "-o", "a.parquet"]) == 0
    table = pandas.read_parquet("a.parquet")
    assert len(table) == 2 * 2 * len(items)
    assert pq.ParquetFile("a.parquet").num_row_groups == math.ceil(len(table) / 12)
    by_id = {item.id: (i, item) for i, item in enumerate(items)}
    scores = {
        (s["id"], s["sample"], s["rule"]): s for s in lines(Path("results/runs/a/scores.jsonl"))
    }
    for row in table.to_dict("records"):
        place, item = by_id[row["id"]]
        assert (row["task"], row["subset"], row["index"]) == (item.task, item.subset, item.index)
        assert (tuple(row["turns"]), tuple(row["target"])) == (item.turns, item.target)
        assert row["text"] == (texts[place].replace("\ud800", "?") if row["sample"] else "")
        score = scores.pop((row["id"], row["sample"], row["rule"]))
        assert (row["matched"], row["value"]) == (score["matched"], score["value"])
        assert (row["answer"] if isinstance(row["answer"], str) else None) == score["answer"]
        detail = row["detail"] if isinstance(row["detail"], str) else "null"
        assert json.loads(detail) == score["detail"]
    assert not scores
    summary = json.loads(Path("results/runs/a/summary.json").read_text())["tasks"]["gsm8k"]
    for rule, mean in table.groupby("rule").value.mean().items():
        assert 100 * mean == pytest.approx(summary[rule]["score"])
    assert main(["export", "parquet", "a", "--rule", "robust", "-o", "b.parquet"]) == 0
    assert set(pandas.read_parquet("b.parquet").rule) == {"robust"}


def test_responses_without_a_score_are_rows_and_counted(capsys):
    import pandas

    items = asked("task=gsm8k", "data=sample")
    write("responses.jsonl", *({"id": item.id, "text": "4"} for item in items))
    scored("a", "task=gsm8k", "data=sample")
    scores = Path("results/runs/a/scores.jsonl")
    kept = [line for line in scores.read_text().splitlines() if f'"{items[0].id}"' not in line]
    scores.write_text("\n".join(kept) + "\n")
    assert main(["export", "parquet", "a", "-o", "a.parquet"]) == 0
    assert f"1 responses without a robust score: {items[0].id}" in capsys.readouterr().out
    table = pandas.read_parquet("a.parquet")
    assert table[table.value.isna()].id.tolist() == [items[0].id] * 2
    scores.unlink()
    assert main(["export", "parquet", "a", "-o", "b.parquet"]) == 2
    assert "no scores.jsonl yet: run stage=score first" in capsys.readouterr().err
    assert not Path("b.parquet").exists()
