"""MLflow: an experiment's run, with figures over the step, tags and artifacts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.track.tracker import Sent, Tracker

_BATCH = 1000
"""Figures that its interface takes at once."""
_LONGEST = 8000
"""Characters of a tag that it takes."""


@dataclass(frozen=True, kw_only=True)
class Mlflow(Tracker):
    """No options beyond `Tracker`'s; `project` is the experiment."""

    package: ClassVar[str] = "mlflow"

    def send(self, sent: Sent) -> str:
        """As `Tracker.send`; the scores stand in the run's description."""
        from mlflow import MlflowClient
        from mlflow.entities import Metric, RunTag

        client, name = MlflowClient(), self.run_name(sent)
        known = client.get_experiment_by_name(self.project)
        experiment = known.experiment_id if known else client.create_experiment(self.project)
        there = [
            run.info.run_id
            for run in client.search_runs([experiment], max_results=_BATCH)
            if run.info.run_name == name
        ]
        run_id = there[0] if there else client.create_run(experiment, run_name=name).info.run_id
        now = int(time.time() * 1000)
        figures = [Metric(key, value, now, sent.step) for key, value in sent.figures.items()]
        told = {**sent.facts, "mlflow.note.content": sent.table}
        tags = [RunTag(key, value[:_LONGEST]) for key, value in told.items()]
        for start in range(0, len(figures), _BATCH):
            client.log_batch(run_id, metrics=figures[start : start + _BATCH])
        client.log_batch(run_id, tags=tags)
        for file in sent.files:
            client.log_artifact(run_id, str(file), f"step-{sent.step}")
        client.set_terminated(run_id)
        return f"experiment {self.project}, run {name}"
