"""Weights & Biases: a project's run, with figures over the step, its configuration and files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.track.tracker import Sent, Tracker


@dataclass(frozen=True, kw_only=True)
class Wandb(Tracker):
    """No options beyond `Tracker`'s."""

    package: ClassVar[str] = "wandb"

    def send(self, sent: Sent) -> str:
        """As `Tracker.send`; the scores stand in the run's notes."""
        import wandb

        name = self.run_name(sent)
        run = wandb.init(
            project=self.project,
            name=name,
            id=re.sub(r"[^\w-]", "-", name),
            resume="allow",
            notes=sent.table,
            config=dict(sent.facts),
            settings=wandb.Settings(
                console="off", disable_git=True, disable_code=True, login_timeout=self.seconds
            ),
        )
        # Its own step only ever grows; a checkpoint can be evaluated after a later one.
        run.define_metric("*", step_metric="step")
        run.log({**sent.figures, "step": sent.step})
        report = wandb.Artifact(re.sub(r"[^\w.-]", "-", f"report-{name}"), type="evaluation")
        for file in sent.files:
            report.add_file(str(file))
        run.log_artifact(report)
        run.finish()
        return str(run.url or run.dir)
