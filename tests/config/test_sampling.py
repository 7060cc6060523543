"""How answers are drawn: as published, as the model recommends, or by hand."""

from __future__ import annotations

import json

import pytest

from ochat_eval.config.load import job
from ochat_eval.records import Sampling, UserError
from ochat_eval.tasks.gsm8k import Gsm8k
from tests.conftest import lines
from tests.fault_server import FaultServer

RUN = (
    "task=gsm8k",
    "data=sample",
    "run=r",
    "engine=openai",
    "engine.base_url=http://127.0.0.1:9/v1",
)
QWEN = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "eos_token_id": 1}


@pytest.fixture
def model(tmp_path):
    """A model's folder, so far as its recommendation goes; `write` puts that there."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")

    def write(values: object) -> str:
        text = values if isinstance(values, str) else json.dumps(values)
        (folder / "generation_config.json").write_text(text)
        return f"model={folder}"

    write.place = f"model={folder}"  # type: ignore[attr-defined]
    return write


def drawn(*options: str, task: str = "gsm8k") -> Sampling:
    found = job([*RUN, *options]).tasks[task]
    return found.sampling(next(found.items()))


@pytest.mark.parametrize(
    ("values", "sampling"),
    [
        (QWEN, Sampling(0.6, 0.95, top_k=20)),
        ({"top_p": 0.9, "min_p": 0.05}, Sampling(1.0, 0.9, min_p=0.05)),
        ({"temperature": 1, "top_k": 0, "top_p": None}, Sampling(1.0)),
        ({"repetition_penalty": 1.05, "presence_penalty": 1.5},
         Sampling(1.0, repetition_penalty=1.05, presence_penalty=1.5)),
        ({"do_sample": False, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1},
         Sampling(0.0, repetition_penalty=1.1)),
        ({"do_sample": False}, Sampling()),
    ],
)  # fmt: skip
def test_as_the_model_recommends(model, values, sampling):
    assert drawn(model(values), "sampling=model") == sampling


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"eos_token_id": 1}, "says nothing of sampling; say how by hand"),
        ("[1", "cannot be read"), ([1], "cannot be read"),
        ({"temperature": "warm"}, "temperature is 'warm'; it must be a number"),
        ({"temperature": True}, "temperature is True; it must be a number"),
        ({"top_k": 2.5}, "top_k is 2.5; it must be a whole number"),
        ({"top_p": 7}, "top_p is 7.0; it must be above 0, at most 1"),
    ],
)  # fmt: skip
def test_a_recommendation_that_is_none(model, values, complaint):
    with pytest.raises(UserError) as caught:
        drawn(model(values), "sampling=model")
    assert complaint in str(caught.value)


def test_a_model_without_a_recommendation(model):
    with pytest.raises(UserError, match="has no generation_config.json; say how by hand"):
        drawn(model.place, "sampling=model")


def test_by_hand_and_a_benchmarks_own_option_wins():
    by_hand = "sampling={temperature: 0.7, top_p: 0.9, top_k: 20, min_p: 0.1, presence_penalty: 1}"
    assert drawn(by_hand) == Sampling(0.7, 0.9, top_k=20, min_p=0.1, presence_penalty=1.0)
    assert drawn(by_hand, "tasks.gsm8k.temperature=0.2").temperature == 0.2
    assert drawn("tasks.gsm8k.top_k=5", "tasks.gsm8k.repetition_penalty=1.2") == Sampling(
        top_k=5, repetition_penalty=1.2
    )


def test_mt_benchs_temperatures_give_way():
    own = ("task=mt_bench", "data=sample")
    assert drawn(*own, task="mt_bench").temperature == 0.7
    assert drawn(*own, "sampling={top_k: 5}", task="mt_bench").temperature == 0.7
    assert drawn(*own, "sampling={temperature: 0.3}", task="mt_bench").temperature == 0.3


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("sampling=warm", "sampling=warm: it is published, model, or by hand"),
        ("sampling={}", "sampling={}: it is published"),
        ("sampling={temprature: 1}", "there is no such option; did you mean temperature?"),
        ("sampling={temperature: -1}", "temperature is -1.0; it must be a number from 0 up"),
        ("sampling={top_k: 0}", "top_k is 0; it must be at least 1"),
        ("sampling={min_p: 2}", "min_p is 2.0; it must be from 0 to 1"),
        ("sampling={repetition_penalty: 0}", "repetition_penalty is 0.0; it must be above 0"),
        ("sampling={presence_penalty: 3}", "presence_penalty is 3.0; it must be from -2 to 2"),
        ("sampling={top_p: high}", "top_p is 'high'; it must be a number"),
    ],
)
def test_what_nothing_can_be_drawn_with(option, complaint):
    with pytest.raises(UserError) as caught:
        drawn(option)
    assert complaint in str(caught.value)


def test_only_what_is_not_usual_is_part_of_a_run():
    plain = Gsm8k(name="gsm8k").options()
    assert "temperature" in plain and not {"top_k", "min_p"} & plain.keys()
    assert Gsm8k(name="gsm8k", top_k=5).options() == {**plain, "top_k": 5}


def test_what_is_sent_marked_and_kept(cli, tmp_path, model):
    with FaultServer() as server:
        run = (*RUN[:-1], f"engine.base_url={server.url}", model(QWEN), "limit=2")
        done = cli(*run, "sampling=model")
        assert done.returncode == 0, done.stderr
        for _, _, body in server.calls:
            assert (body["temperature"], body["top_p"], body["top_k"]) == (0.6, 0.95, 20)
            assert isinstance(body["seed"], int) and "min_p" not in body
        other = cli(*run)
        assert other.returncode == 2 and "did other work" in other.stderr
        again = cli("stage=score", "run=r")
        assert again.returncode == 0, again.stderr
    folder = tmp_path / "results/runs/r"
    assert len(lines(folder / "responses.jsonl")) == 2
    changed = json.loads((folder / "summary.json").read_text())["tasks"]["gsm8k"]["changed"]
    assert {"temperature=0.6", "top_p=0.95", "top_k=20"} <= set(changed)
