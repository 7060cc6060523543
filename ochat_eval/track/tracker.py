"""What a tracker is given, and what it must do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True)
class Sent:
    """What is told of a run.

    Attributes:
        run: the run's name.
        step: the training step that it is of; 0 where nobody said one.
        figures: by name (`gsm8k/robust/score`), in the benchmarks' units.
        facts: what else there is to say, as text: the model, versions, why figures are marked.
        table: the scores as a Markdown table.
        files: the tables and the report's page.
    """

    run: str
    step: int
    figures: Mapping[str, float]
    facts: Mapping[str, str]
    table: str
    files: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """One kind of tracker; keys and addresses come from its own environment variables alone.

    Attributes:
        package: what must be installed; the extra of ours that does has its name.
        project: what it keeps runs in.
        name: what it calls the run; None: the run's own name. A run of that name is gone on with:
            checkpoints of a training that have one name are points of one curve.
        seconds: how long it may take.
    """

    package: ClassVar[str]

    project: str = "ochat_eval"
    name: str | None = None
    seconds: int = 300

    def send(self, sent: Sent) -> str:
        """Sends; returns where it can be seen. Raises whatever the package raises."""
        raise NotImplementedError

    def run_name(self, sent: Sent) -> str:
        """What the run is called there."""
        return self.name or sent.run
