"""TensorBoard: event files with the figures over the step, and the tables as texts."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ochat_eval.track.tracker import Sent, Tracker


@dataclass(frozen=True, kw_only=True)
class Tensorboard(Tracker):
    """Attributes: folder: `tensorboard --logdir` is this folder."""

    package: ClassVar[str] = "tensorboard"

    folder: str = "tensorboard"

    def send(self, sent: Sent) -> str:
        """As `Tracker.send`; it has no files, so of these only Markdown ones are told, as texts."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text.metadata import create_summary_metadata
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
        from tensorboard.util.tensor_util import make_tensor_proto

        name = re.sub(r"[^\w.-]", "_", self.run_name(sent)).strip(".") or "run"
        folder = Path(self.folder).expanduser() / self.project / name
        texts = {file.stem: file.read_text("utf-8") for file in sent.files if file.suffix == ".md"}
        texts["facts"] = "\n".join(f"- {key}: {value}" for key, value in sent.facts.items())
        values = [
            Summary.Value(tag=key, simple_value=value) for key, value in sent.figures.items()
        ] + [
            Summary.Value(
                tag=f"{key}/text_summary",
                metadata=create_summary_metadata(key, ""),
                tensor=make_tensor_proto([text.encode()]),
            )
            for key, text in texts.items()
        ]
        writer = EventFileWriter(str(folder))
        writer.add_event(
            Event(wall_time=time.time(), step=sent.step, summary=Summary(value=values))
        )
        writer.close()
        return str(folder)
