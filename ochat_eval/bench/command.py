"""The command line of bench."""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ochat_eval.bench import decide, inspect_ai
from ochat_eval.bench.client import client
from ochat_eval.bench.costs import FEW_PAIRS, PAIRS, Table
from ochat_eval.bench.engines import EnginesApart
from ochat_eval.bench.gpu_check import gpu_check
from ochat_eval.bench.harness import harness
from ochat_eval.bench.lm_eval import LM_EVAL, comparison, with_model
from ochat_eval.bench.outcome import Outcome, recorded, summary
from ochat_eval.bench.prefix import prefix, suite
from ochat_eval.bench.readings import readings
from ochat_eval.bench.replicas import replicas
from ochat_eval.bench.tail import AHEAD, STOPPED, tails
from ochat_eval.bench.vllm import vllm
from ochat_eval.records import UserError
from ochat_eval.run.manifest import surroundings
from ochat_eval.run.store import write_json
from ochat_eval.terminal.command import MISTAKE, Parser, ending
from ochat_eval.terminal.grid import listing
from ochat_eval.terminal.say import say, tell

WHAT = {  # those that can share a load of the model follow each other
    "harness": "each stage, over GSM8K and over all benchmarks, or over the tasks named; no model",
    "lm-eval": f"GSM8K compared with lm-eval {LM_EVAL}, which goes into .venv-lm-eval; no model",
    "inspect-ai": f"GSM8K compared with inspect_ai {inspect_ai.INSPECT_AI}, which goes into "
    ".venv-inspect-ai; no model",
    "lm-eval-vllm": f"GSM8K on the same model, compared with lm-eval {LM_EVAL} with vLLM; loads "
    "the model twice a pair",
    "client": "engine=openai against a bare load generator, on the same local server",
    "vllm": "engine=vllm against a bare vllm.LLM.generate; loads the model",
    "tail": "the end of a run, when a few answers that repeat themselves are left: as published, "
    "guessing ahead, alone also loops ended; loads the model once a pair, and once more",
    "prefix": "requests grouped by prefix against shuffled, alone also with a cache that holds "
    "all; one queue against task after task; loads the model",
    "replicas": "engine=ray with one replica against two; loads the model three times a pair; not "
    "part of all",
    "decide": "what until=decided saves and how often it errs: made-up pairs, and reruns as in the "
    "recorded runs named (docs/less.md); no model",
    "gpu-check": "on a GPU, in ten minutes with one load of the model: engine=vllm against bare "
    "vLLM, tokens/s of all benchmarks, their tail, grouping by prefix, memory, two replicas where "
    "there are two GPUs; not part of all",
    "readings": "how often the robust rules misread: answers in a FILE or folder that say what a "
    "person reads in them (docs/readings.md); no model, and not part of all",
}
WITH_MODEL = ("lm-eval-vllm", "vllm", "prefix", "replicas", "tail", "gpu-check")
"""What takes options of a run."""
BY_NAME = ("replicas", "gpu-check", "readings")
"""What is measured only when it is named."""
HARNESS = (["gsm8k"], ["all"])
"""Which tasks the harness runs over, where none are named."""
MEASURED = ("client", *WITH_MODEL)
"""What takes `--requests`."""
TAKES_MORE = ("harness", *WITH_MODEL, "decide", "readings")
"""What can be told more than its name."""


def _tables(
    given: argparse.Namespace, engines: EnginesApart
) -> Iterator[tuple[str, Callable[[], Table]]]:
    """The chosen measurements, each with the name of its part."""
    chosen = [x for x in WHAT if x not in BY_NAME] if given.what == "all" else [given.what]
    more: list[str] = given.more
    sized = {} if given.requests is None else {"requests": given.requests}
    pairs, few = given.pairs or PAIRS, given.pairs or FEW_PAIRS
    alone = given.what != "all"  # has the time for sides that show little
    helps = (STOPPED, AHEAD) if alone else (AHEAD,)
    parts: dict[str, Iterable[Callable[[], Table]]] = {
        "harness": [partial(harness, names) for names in ([more] if more else HARNESS)],
        "lm-eval": [partial(comparison, few)],
        "inspect-ai": [partial(inspect_ai.comparison, few)],
        "lm-eval-vllm": [partial(with_model, few, more=more, **sized)],
        "client": [partial(client, few, **sized)],
        "vllm": [partial(vllm, engines, pairs, more=more, **sized)],
        "prefix": [
            partial(suite, engines, few, more=more, **sized),
            partial(prefix, engines, few, more=more, large=alone, **sized),
        ],
        "replicas": [partial(replicas, few, more=more, **sized)],
        "tail": [partial(tails, engines, few, more=more, helps=helps, **sized)],
        "decide": [
            decide.made_up,
            *(partial(decide.recorded, name) for name in more or [decide.SHIPPED]),
        ],
        "gpu-check": gpu_check(pairs, more=more, **sized),
        "readings": [partial(readings, more)],
    }
    for name in chosen:
        for table in parts[name]:
            yield name, table


_BENCH = """\
Measures what the harness costs, as ratios of sides that run in turn, and how often its robust
answer rules misread.

example:
  OCHAT_EVAL_DATA=DIR ochat-eval bench harness gsm8k
  ochat-eval bench readings answers.jsonl
"""


def _parser() -> Parser:
    parser = Parser(
        "bench",
        _BENCH,
        f"what there is to measure:\n{listing(WHAT)}\n\n"
        "OCHAT_EVAL_DATA=DIR names the data; without it sample items are measured.",
    )
    parser.add_argument(
        "what", metavar="WHAT", nargs="?", default="all", choices=["all", *WHAT],
        help="one of those below; all of them by default",
    )  # fmt: skip
    parser.add_argument(
        "more", metavar="TASK|NAME=VALUE|NAME|FILE", nargs="*",
        help="for harness: the tasks, as in task=; for what loads the model: options of the run, "
        "as in model=NAME or engine.NAME=VALUE; for decide: recorded runs; for readings: files or "
        "folders",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", type=_count, metavar="N",
        help=f"runs of a side; {PAIRS} by default, {FEW_PAIRS} of what takes minutes",
    )  # fmt: skip
    parser.add_argument(
        "--requests", type=_count, metavar="N", help=f"requests of a run: {', '.join(MEASURED)}"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="keep the tables and the hardware as JSON"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def bench(argv: Sequence[str]) -> int:
    """`ochat-eval bench`: runs the chosen measurements; 2 if one of them failed."""
    parser = _parser()
    given = parser.parse_intermixed_args(argv)
    if given.more and given.what not in TAKES_MORE:
        parser.error(f"{given.more[0]!r} can be given only for {', '.join(TAKES_MORE)}")
    if given.requests and given.what not in MEASURED:
        parser.error(f"--requests can be given only for {', '.join(MEASURED)}")
    if given.record and not given.record.absolute().parent.is_dir():
        parser.error(f"--record {given.record}: there is no folder {given.record.parent}")
    return ending(parser.prog, lambda: _measure(given))


def _measure(given: argparse.Namespace) -> int:
    record = {"made": datetime.now(UTC).isoformat(timespec="seconds"), **surroundings()}
    done: list[Outcome] = []
    with closing(EnginesApart()) as engines:
        for part, table in _tables(given, engines):
            if given.what == "all":
                say(f"bench {part}")
            done.append(_outcome(part, table))
            if found := done[-1].table:
                tell(found.text(), flush=True)
            if given.record:  # after each, so that a stop costs one table
                write_json(given.record, {**record, **recorded(done)})
    if len(done) > 1 or any(one.claims for one in done):
        tell(summary(done))
    return MISTAKE if any(one.table is None for one in done) else 0


def _outcome(part: str, table: Callable[[], Table]) -> Outcome:
    """Measures; whatever goes wrong is said at once and costs the other parts nothing."""
    begun = time.monotonic()
    try:
        return Outcome(part, table(), seconds=time.monotonic() - begun)
    except UserError as e:
        problem = str(e)
    except Exception as e:
        traceback.print_exc()
        problem = f"{type(e).__name__}: {e}"
    say(f"ochat-eval bench: {problem}")
    return Outcome(part, None, problem, time.monotonic() - begun)
