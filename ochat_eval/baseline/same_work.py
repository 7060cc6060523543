"""Whether a run did the recorded work: the same items, prompts, sampling and answer rule."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ochat_eval import stats
from ochat_eval.baseline.policy import Policy
from ochat_eval.baseline.results import Outcome, TaskResults, Verdicts, clusters, strata
from ochat_eval.records import Rule
from ochat_eval.run.identity import differences
from ochat_eval.terminal.words import counted

Measure = Callable[[Verdicts], Sequence[float]]
CHOICE_OF_ITEMS = ("limit", "subsets", "data")
"""Options that say which items are asked; the items themselves are compared."""


def recorded_items(here: TaskResults, there: TaskResults) -> list[Outcome]:
    """The recorded outcomes of a run's items, in the run's order."""
    return [there.outcomes[id_] for id_ in here.outcomes]


def difference(
    here: TaskResults,
    there: TaskResults,
    rule: Rule,
    measures: tuple[Measure, Measure],
    psi: float,
    runs: int,
    confidence: float = stats.CONFIDENCE,
    bounds: stats.Bounds | None = None,
) -> stats.Estimate:
    """A new run less the recorded ones, in points: `stats.rerun_interval`.

    Args:
        measures: what is compared of an item's verdicts, by run, in 0…1: of the new run, and of the
            recorded ones.
        psi: the rate at which it flips between recorded runs.
        runs: how many recorded runs there are.
        bounds: as in `stats.rerun_interval`.
    """
    items = recorded_items(here, there)
    recorded = [stats.mean(measures[1](one.rules[rule])) for one in items]
    new = [measures[0](one.rules[rule])[0] for one in here.outcomes.values()]
    return stats.rerun_interval(
        recorded, new, psi, runs,
        clusters=clusters(items), strata=strata(items), confidence=confidence, bounds=bounds,
    )  # fmt: skip


def unlike_unmatched(
    here: TaskResults,
    there: TaskResults,
    policy: Policy,
    psi: float,
    runs: int,
    confidence: float = stats.CONFIDENCE,
) -> str:
    """Says so where the unmatched rate moved by more than reruns do; empty where it did not.

    Of a new checkpoint (`no-worse`) only a rise counts: that more can be read is no fault.
    """

    def unmatched(verdicts: Verdicts) -> Sequence[float]:
        return verdicts.unmatched

    both = (unmatched, unmatched)
    moved = difference(here, there, policy.rule, both, psi, runs, confidence)
    margin = stats.delta(psi, len(here.outcomes))
    if stats.decide(-moved.hi, -moved.lo, margin, policy.mode) != "FAIL":
        return ""
    rate = 100 * stats.mean([o.rules[policy.rule].unmatched[0] for o in here.outcomes.values()])
    return (
        f"the unmatched rate is {rate:.1f} %, recorded {rate - moved.score:.1f} %: more than "
        "reruns differ, so these are not the same kind of answers"
    )


def unlike_work(here: TaskResults, there: TaskResults, rule: Rule, part: bool) -> Iterator[str]:
    """Why the two are not the same work, the first reason first; nothing where they are."""
    if here.missing:
        yield f"{here.missing:,} of {here.asked:,} items have no answer: {here.to_mend}"
    if not here.outcomes:
        yield "the run asked no item of it"
    if here.outcomes.keys() < there.outcomes.keys() and not part:
        yield (
            f"{len(here.outcomes):,} of the {len(there.outcomes):,} recorded items; "
            "say --part if a part is meant"
        )
    yield from unlike_questions(
        {i: o.prompt for i, o in here.outcomes.items()}, here.options, there
    )
    pairs = [(one, there.outcomes[id_]) for id_, one in here.outcomes.items()]
    if unjudged := [new.id for new, _ in pairs if not new.rules[rule].values]:
        number = counted(len(unjudged), "item is", "items are")
        yield f"{number} not judged, {unjudged[0]} the first"
    if here.other_judges(there):
        yield f"judged by {', '.join(here.judges)}, recorded by {', '.join(there.judges)}"
    if reread := [new.id for new, old in pairs if _read_otherwise(new, old, rule)]:
        yield (
            f"the rule {rule} reads {len(reread):,} unchanged responses otherwise than recorded, "
            f"{reread[0]} the first: it is another rule"
        )


def unlike_questions(
    prompts: Mapping[str, str], options: Mapping[str, Any], there: TaskResults
) -> Iterator[str]:
    """Why the two do not ask the same; of a run that has no answers yet, too.

    Args:
        prompts: `Outcome.prompt` of each item that the run asks.
        options: the run's options of the benchmark.
    """
    if extra := [id_ for id_ in prompts if id_ not in there.outcomes]:
        number = counted(len(extra), "item is", "items are")
        yield f"{number} not in the recorded run, {extra[0]} the first"
        return
    if other := [id_ for id_, prompt in prompts.items() if prompt != there.outcomes[id_].prompt]:
        yield (
            f"{len(other):,} of {len(prompts):,} prompts or targets differ from the recorded ones, "
            f"{other[0]} the first"
        )
    yield from _changed_options(options, there.options)


def _changed_options(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """The differences in what both know of sampling, prompts and scoring."""
    shared = [name for name in there if name in here and name not in CHOICE_OF_ITEMS]
    return differences({k: there[k] for k in shared}, {k: here[k] for k in shared})


def _read_otherwise(new: Outcome, old: Outcome, rule: Rule) -> bool:
    """Whether the same response was read as another answer."""
    if new.responses != old.responses:
        return False
    a, b = new.rules[rule], old.rules[rule]
    return (a.answers, a.matched) != (b.answers, b.matched)


def prompts_digest(prompts: Mapping[str, str]) -> str:
    """One digest over a benchmark's prompts (id → `Outcome.prompt`), whatever their order."""
    lines = (f"{id_} {prompt}\n" for id_, prompt in sorted(prompts.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
