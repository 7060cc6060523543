"""Trackio: a project's run, with figures over the step, its configuration and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ochat_eval.track.tracker import Sent, Tracker


@dataclass(frozen=True, kw_only=True)
class Trackio(Tracker):
    """No options beyond `Tracker`'s."""

    package: ClassVar[str] = "trackio"

    def send(self, sent: Sent) -> str:
        """As `Tracker.send`."""
        import trackio

        name = self.run_name(sent)
        trackio.init(
            project=self.project,
            name=name,
            resume="allow",
            config=dict(sent.facts),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        trackio.log(dict(sent.figures), step=sent.step)
        for file in sent.files:
            trackio.log_artifact(file, name=f"{file.name}-{sent.step}", type="evaluation")
        trackio.finish()
        return f"project {self.project}, run {name}"
