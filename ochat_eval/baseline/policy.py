"""What a gate asks of each benchmark: the options of the command line, or a file, gate.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ochat_eval import stats
from ochat_eval.records import Rule, UserError
from ochat_eval.terminal.words import nearest, one_line


class TaskPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of one benchmark; None: as of all.

    Attributes:
        rule, mode, margin: as in `Policy`.
        weight: its weight in the mean of the weighted benchmarks, which is gated as one.
        veto: it must pass by itself; by default what has no weight must.
    """

    rule: Rule | None = None
    mode: stats.Mode | None = None
    margin: float | None = None
    weight: float | None = None
    veto: bool | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a run.

    Attributes:
        rule: by which answers are read.
        mode: `same`: it is the recorded run again; `no-worse`: it is no worse than that.
        margin: δ in points; None: from the noise between the recorded reruns (`stats.delta`).
        flip_sds: how many standard deviations of that noise.
        tasks: what differs, by benchmark.
    """

    rule: Rule = "published"
    mode: stats.Mode = "same"
    margin: float | None = None
    flip_sds: float = stats.FLIP_SDS
    tasks: dict[str, TaskPolicy] = {}

    def of(self, task: str) -> Policy:
        """What is asked of one benchmark, without the others."""
        own = self.tasks.get(task, TaskPolicy())
        margin = self.margin if own.margin is None else own.margin
        return Policy(own.rule or self.rule, own.mode or self.mode, margin, self.flip_sds)

    def weight(self, task: str) -> float | None:
        """A benchmark's weight; None where it counts by itself only."""
        return self.tasks.get(task, TaskPolicy()).weight

    def veto(self, task: str) -> bool:
        """Whether a benchmark must pass by itself."""
        veto = self.tasks.get(task, TaskPolicy()).veto
        return self.weight(task) is None if veto is None else veto

    def title(self, tasks: Iterable[str]) -> str:
        """What is asked of these, in the words of the verdict's line."""
        asked = [self.of(task) for task in tasks]
        rules = dict.fromkeys(one.rule for one in asked)
        names = {"same": "same", "no-worse": "no worse"}
        modes = dict.fromkeys(names[one.mode] for one in asked)
        said = "" if list(modes) == ["same"] else f"{' and '.join(modes)}, "
        return f"{said}rule {' and '.join(rules)}"


def chosen_policy(file: Path | None, said: Mapping[str, Any]) -> Policy:
    """What is asked: by a file, or by what was said of all benchmarks.

    Args:
        said: `mode`, `rule`, `margin`, `flip_sds`; None: not said.

    Raises:
        UserError: both, a file that cannot be read, or a number that cannot be.
    """
    given = {name: value for name, value in said.items() if value is not None}
    if file is None:
        try:
            policy = msgspec.convert(given, Policy)
        except msgspec.ValidationError as error:
            raise UserError(f"what the gate asks: {one_line(error)}") from error
        check(policy, "the command line")
        return policy
    if given:
        raise UserError("--policy says mode, rule and margin: name them in the file only")
    return read_policy(file)


def read_policy(path: Path) -> Policy:
    """The policy of a YAML file.

    Raises:
        UserError: it cannot be read, has a field that there is not, or a value that cannot be.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"--policy {path}: cannot be read: {one_line(error)}") from error
    try:
        policy = msgspec.convert({} if values is None else values, Policy)
    except msgspec.ValidationError as error:
        raise UserError(f"--policy {path}: {one_line(error)}") from error
    check(policy, f"--policy {path}")
    return policy


def check(policy: Policy, where: str) -> None:
    """UserError for a number that cannot be; `where` names what the user wrote."""
    margins = {"margin": policy.margin} | {
        f"tasks.{name}.margin": one.margin for name, one in policy.tasks.items()
    }
    for name, margin in margins.items():
        if margin is not None and not 0 < margin <= 100:
            raise UserError(f"{where}: {name} is {margin:g}; it must be above 0 and at most 100")
    if not 0 <= policy.flip_sds < float("inf"):
        raise UserError(f"{where}: flip_sds is {policy.flip_sds}; it must be a number from 0")
    for name, one in policy.tasks.items():
        if one.weight is not None and not 0 < one.weight < float("inf"):
            raise UserError(f"{where}: tasks.{name}.weight is {one.weight:g}; it must be above 0")
        if one.weight is None and one.veto is False:
            raise UserError(
                f"{where}: tasks.{name} has neither a weight nor a veto, so it decides nothing; "
                "give it a weight, or leave veto away"
            )


def check_names(policy: Policy, known: Iterable[str], where: str) -> None:
    """UserError for a benchmark that the recorded run does not have."""
    there = list(known)
    for name in policy.tasks:
        if name not in there:
            raise UserError(
                f"{where}: tasks.{name}: the recorded run does not have it{nearest(name, there)}"
            )
