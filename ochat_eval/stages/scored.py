"""Whether a run's scores and its report stand as they were made: then they are not made again.

What they were made of, and their own digest, are kept in the user's cache: a run's folder, which
others may have made, cannot say of itself that its scores are right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ochat_eval.benchmark.task import ScoringOptions
from ochat_eval.config.job import Job
from ochat_eval.records import Score
from ochat_eval.report.tables import files
from ochat_eval.run import store
from ochat_eval.sandbox.kept import Kept
from ochat_eval.stages.plan import Plan
from ochat_eval.stages.rules import digest_of_rules

REPORTED = (
    store.SUMMARY, store.TABLE, store.REPORT, f"{store.WHY}.json", f"{store.WHY}.md",
    *files.FILES,
)  # fmt: skip
"""The files of a report."""
_NOT_READ = {*REPORTED, store.MANIFEST, store.ITEMS, store.RESPONSES, store.JUDGMENTS}
"""Files that are in no digest of a report's others: they are its own, or stand in there already."""
_OF_THE_MACHINE = (
    "limit", "died", "Errno", "thread", "garbled answer", "answer too large", "be compared",
)  # fmt: skip
"""Words of reasons that another try may not give: of `sandbox/program.py`, of `sandbox/workers.py`,
and of what Python says where a machine has no more of something."""


class Scored:
    """The digests of scores and reports by what they were made of, kept from run to run."""

    def __init__(self, planned: Plan, options: ScoringOptions):
        """Finds out what the run's scores would be made of now: its files, and all rules."""
        self._planned = planned
        self._rules = digest_of_rules(planned.tasks.values())
        self._made_of = None if self._rules is None else _made_of(planned, options)

    def stands(self) -> bool:
        """Whether the scores on disk are what was made of the very same."""
        return self._stands([store.SCORES], self._made_of)

    def made(self, settled: bool) -> None:
        """Keeps the digest of the scores on disk, which were made just now.

        Args:
            settled: whether all of them are (`is_settled`).
        """
        if settled:
            self._keep([store.SCORES], self._made_of)

    def report_stands(self, job: Job) -> bool:
        """Whether the report on disk is what was made of the very same, scores and marks too."""
        return self._stands(REPORTED, self._reported_of(job))

    def report_made(self, job: Job) -> None:
        """Keeps the digest of the report on disk, which was made just now."""
        self._keep(REPORTED, self._reported_of(job))

    def _stands(self, names: Sequence[str], made_of: list[Any] | None) -> bool:
        if self._rules is None or made_of is None:
            return False
        with _kept(self._rules) as kept:
            return kept.get(made_of) == self._planned.digests(names)

    def _keep(self, names: Sequence[str], made_of: list[Any] | None) -> None:
        if self._rules is not None and made_of is not None:
            with _kept(self._rules) as kept:
                kept.add(made_of, self._planned.digests(names))

    def _reported_of(self, job: Job) -> list[Any] | None:
        """What the report is made of beside the rules; None where other runs are in it."""
        if self._made_of is None or job.controls:
            return None
        planned = self._planned
        others = {file.name for file in planned.run.path.iterdir() if file.is_file()}
        read = planned.digests(sorted(others - _NOT_READ))
        manifest = {k: v for k, v in planned.manifest.values.items() if k != "times"}
        told = [job.changed, job.ids is not None, job.model.published, planned.model]
        return [self._made_of, read, manifest, told, planned.counts, planned.totals]


def _kept(rules: str) -> Kept[dict[str, str]]:
    return Kept("stands", rules, dict[str, str])


def is_settled(score: Score) -> bool:
    """Whether the same answer would get the same score at any time: it is none of a program, or of
    a grader, that was stopped or that the machine failed."""
    reason = (score.detail or {}).get("reason", "")
    return not any(word in reason for word in _OF_THE_MACHINE)


def _made_of(planned: Plan, options: ScoringOptions) -> list[Any] | None:
    """What scores are made of beside the rules; None where another run's answers are in it."""
    if any(task.compared_with() is not None for task in planned.tasks.values()):
        return None
    asked = {name: repr(dataclasses.asdict(task)) for name, task in planned.tasks.items()}
    seen = {name: sorted(ids) for name, ids in planned.seen.items()}
    made = planned.digests((store.ITEMS, store.RESPONSES, store.JUDGMENTS))
    return [made, asked, seen, options.sandbox]
