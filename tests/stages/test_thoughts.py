"""Runs of a model that thinks aloud: what is scored, said and shown; prompts shown whole."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import lines
from tests.model.shapes import SHAPES, write_model
from tests.replays import REPLAY, RUN, sample_answers, write

OPEN = "<think>\nIt could be 42, or"


def thoughtful():
    """Right answers behind wrong thoughts; the first thought has no end, the second no answer."""
    answers = sample_answers()
    for one in answers:
        one["text"] = f"<think>\nThe answer is 1? No.\n</think>\n\n{one['text']}"
    answers[0].update(text=OPEN, finish_reason="length")
    answers[1].update(text="<think>gone</think>", finish_reason="stop")
    return answers


def test_only_the_answer_is_read_and_a_thought_without_an_end_is_counted(cli, tmp_path):
    write(tmp_path / "a.jsonl", *thoughtful())
    done = cli(*REPLAY)
    assert done.returncode == 0, done.stderr
    kept = {r["id"]: r for r in lines(tmp_path / RUN / "responses.jsonl")}
    first, second, third = (kept[f"gsm8k/main/{i}"] for i in range(3))
    assert (first["text"], first["reasoning"], first["unfinished"]) == ("", OPEN[8:], True)
    assert (second["text"], second["reasoning"]) == ("", "gone") and "unfinished" not in second
    assert third["reasoning"] == "The answer is 1? No." and "think" not in third["text"]

    task = json.loads((tmp_path / RUN / "summary.json").read_text())["tasks"]["gsm8k"]
    for rule in ("published", "robust"):
        assert task[rule]["unfinished"] == task[rule]["empty"] == pytest.approx(1 / 12)
        assert task[rule]["unmatched"] == pytest.approx(2 / 12)
    assert task["robust"]["score"] == pytest.approx(100 * 10 / 12)
    assert task["thoughts"]["answers"] == 12 and task["thoughts"]["unfinished"] == 1
    for text in (done.stdout, (tmp_path / RUN / "table.md").read_text()):
        assert "unfinished" in text
        assert "8.3% unfinished" in text.replace("\n", " ")
        assert "1 of 12 thoughts have no end" in " ".join(text.split())


def test_a_model_that_does_not_think_has_no_such_column(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    done = cli(*REPLAY)
    assert "unfinished" not in done.stdout
    assert "reasoning" not in (tmp_path / RUN / "responses.jsonl").read_text()


def test_texts_are_left_whole_or_cut_at_marks_as_the_model_says(cli, tmp_path):
    write(tmp_path / "a.jsonl", *thoughtful())
    assert cli(*REPLAY, "model.thinking=none").returncode == 0
    kept = lines(tmp_path / RUN / "responses.jsonl")
    assert [r["text"] for r in kept] == [r["text"] for r in thoughtful()]
    other = cli(*REPLAY)
    assert other.returncode == 2
    assert 'model_options.thinking: "none" there, absent now' in other.stderr
    by_hand = cli(*REPLAY[:-1], "run=h", "model.thinking=[<think>,</think>]")
    assert by_hand.returncode == 0, by_hand.stderr
    again = lines(tmp_path / "results/runs/h/responses.jsonl")
    assert again[0]["unfinished"] and again[2]["reasoning"] == "The answer is 1? No."


def test_a_folder_whose_template_opens_the_thought_is_asked_for_its_marks(cli, tmp_path):
    folder = write_model(tmp_path / "r1", SHAPES["deepseek_r1"])
    answers = sample_answers()
    answers[0].update(text="It could be 42, or", finish_reason="length")
    write(tmp_path / "a.jsonl", *answers)
    assert cli(*REPLAY, f"model={folder}").returncode == 0
    kept = lines(tmp_path / RUN / "responses.jsonl")
    assert kept[0]["unfinished"] and kept[0]["reasoning"] == "It could be 42, or"


def test_whole_prompts_are_shown_as_the_model_gets_them(cli, tmp_path):
    folder = write_model(tmp_path / "phi", SHAPES["phi"])
    ask = (
        "task=gsm8k,mmlu",
        "data=sample",
        "stage=plan",
        f"model={folder}",
        "run=p",
        "show=1",
        "model.context=null",
    )
    done = cli(*ask, "tasks.gsm8k.fewshot=turns", "model.system=Be brief, and kind.")
    assert done.returncode == 0, done.stderr
    _, gsm8k, mmlu = re.split(r"\n--- (?=gsm8k|mmlu)", done.stdout)
    assert gsm8k.startswith("gsm8k/main/0, ") and mmlu.startswith("mmlu/")
    prompt = gsm8k.partition("tokens:\n")[2]
    assert prompt.startswith("<|system|>Be brief, and kind.<|end|><|user|>Question: ")
    assert "<|end|><|assistant|>Let's think step by step\n" in prompt
    assert prompt.rstrip().endswith("<|end|><|assistant|>")
    assert mmlu.count("<|user|>") == 1, "as published: examples in the question's message"
    items = lines(tmp_path / "results/runs/p/items.jsonl")
    examples = [len(i["examples"]) for i in items if i["task"] == "gsm8k"]
    assert set(examples) == {prompt.count("<|user|>") - 1} and examples[0] > 1
    assert all("examples" not in i for i in items if i["task"] == "mmlu")
    identity = json.loads((tmp_path / "results/runs/p/manifest.json").read_text())["identity"]
    assert identity["tasks"]["gsm8k"]["fewshot"] == "turns"
    assert "fewshot" not in identity["tasks"]["mmlu"]
    assert identity["model_options"] == {"system": "Be brief, and kind."}


def test_what_is_not_the_published_setting_is_marked(cli, tmp_path):
    write(tmp_path / "a.jsonl", *sample_answers())
    more = ("tasks.gsm8k.fewshot=turns", "model.system=Be brief.", "model.stop=[</s>]")
    assert cli(*REPLAY, *more).returncode == 0
    summary = json.loads((tmp_path / RUN / "summary.json").read_text())
    assert summary["tasks"]["gsm8k"]["changed"] == ["fewshot=turns", "model.system=Be brief."]
    assert cli("stage=report", "run=r", "engine=replay").returncode == 0
    again = json.loads((tmp_path / RUN / "summary.json").read_text())
    assert again["tasks"]["gsm8k"]["changed"] == summary["tasks"]["gsm8k"]["changed"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("tasks.gsm8k.fewshot=chat",), "fewshot is chat; it is text"),
        (("model.thinking=maybe",), "model.thinking=maybe: it is auto, none, or the two marks"),
    ],
)
def test_what_there_is_not_is_refused(cli, tmp_path, options, says):
    write(tmp_path / "a.jsonl", *sample_answers())
    done = cli(*REPLAY, *options)
    assert done.returncode == 2 and says in done.stderr


@pytest.mark.parametrize("option", ["template_kwargs={x: 1}", "template=t", "thinking_budget=9"])
def test_an_option_that_a_server_would_never_hear_of_is_refused(cli, option):
    server = ("engine=openai", "engine.base_url=http://127.0.0.1:9/v1")
    done = cli("task=gsm8k", "data=sample", *server, f"model.{option}")
    assert done.returncode == 2
    assert "engine=openai sends messages, and the server writes the prompt" in done.stderr
