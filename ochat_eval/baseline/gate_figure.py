"""The gate against a published figure, whose items nobody has: can the score be a rerun of it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.gate import TaskGate
from ochat_eval.baseline.results import TaskResults, points
from ochat_eval.baseline.same_work import prompts_digest
from ochat_eval.run.identity import differences


@dataclass(frozen=True, slots=True)
class Figure:
    """A published score: in points, and half a unit of its last digit."""

    points: float
    rounding: float


@dataclass(frozen=True, slots=True)
class Setting:
    """The published setting of a benchmark.

    Attributes:
        options: of the benchmark; the chat format's condition is the model's and not compared.
        n: how many items it has.
        prompts: the digest over all of them (`prompts_digest`).
    """

    options: Mapping[str, Any]
    n: int
    prompts: str


def gate_figure(
    task: TaskResults,
    figure: Figure,
    psi: float | None,
    setting: Setting,
    of: int = 1,
    otherwise: Sequence[str] = (),
) -> TaskGate:
    """One benchmark against a published figure: can the score be a rerun of it?

    `equivalence.matches_published`, under the rule `published`: PASS or FAIL, or REFUSED where the
    run did not ask exactly the published prompts in the published way, or ψ is not known.

    Args:
        psi: the flip rate, measured by reruns of some run like it; a fraction. None: unknown.
        of: how many benchmarks are gated together: faultless ones shall fail in 5 % together.
        otherwise: what of model, engine and server is not of the published setting.
    """
    n = len(task.outcomes)
    options = {k: v for k, v in task.options.items() if k != "condition"}
    refused = ""
    if task.missing or len(task.outcomes) != setting.n:
        refused = f"{len(task.outcomes):,} of {setting.n:,} items have an answer"
    elif changed := differences(
        {k: v for k, v in setting.options.items() if k in options},
        {k: v for k, v in options.items() if k in setting.options},
    ):
        refused = f"not the published setting: {changed[0]}"
    elif otherwise:
        refused = f"not the published setting: {otherwise[0]}"
    elif prompts_digest({i: o.prompt for i, o in task.outcomes.items()}) != setting.prompts:
        refused = "the prompts are not the published ones"
    elif any(not one.rules["published"].values for one in task.outcomes.values()):
        refused = "not all of it is judged"
    elif any(one.rules["published"].unread for one in task.outcomes.values()):
        refused = "not every verdict on it could be read"
    elif psi is None:
        refused = "--psi has no flip rate of it: record a run of it with reruns"
    if refused or psi is None:
        return TaskGate(task.name, "REFUSED", refused, n=n, of=setting.n)
    values = [one.rules["published"].values[0] for one in task.outcomes.values()]
    score = points(stats.mean(values), task)
    noise = 100 * stats.flip_sd(psi, setting.n)
    margin = stats.published_margin(noise, rounding=figure.rounding, of=of)
    same = abs(score - figure.points) <= margin
    return TaskGate(
        task.name,
        "PASS" if same else "FAIL",
        "" if same else f"further from the figure than ±{margin:.2f}, which reruns explain",
        n=n,
        of=setting.n,
        recorded=figure.points,
        score=score,
        difference=score - figure.points,
        margin=margin,
        psi=psi,
        passes=1 - 0.05 / of,
    )
