"""Reads what trackers keep, with their own packages; runs in .venv-others, prints JSON.

It runs in the folder of mlflow.db, wandb/, tensorboard/ and TRACKIO_DIR.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIGURE = "gsm8k/robust/score"


def mlflow() -> Any:
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("ochat_eval").experiment_id
    [run] = client.search_runs([experiment])
    return {
        "id": [experiment, run.info.run_id],
        "name": run.info.run_name,
        "steps": [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, FIGURE)],
        "figures": run.data.metrics,
        "tags": run.data.tags,
        "files": [file.path for file in client.list_artifacts(run.info.run_id, "step-1000")],
    }


def records(file: Path) -> Iterator[bytes]:
    """The records of an offline run: 7 bytes of a header, then LevelDB's log format: blocks of 32
    KiB, of pieces with checksum (4 bytes), length (2) and kind (1: whole, 2 to 4: first to last)."""
    data, at, record = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # too short for another piece
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def wandb() -> Any:
    from wandb.proto.wandb_internal_pb2 import Record

    [file] = Path("wandb").glob("offline-run-*/run-*.wandb")
    found: dict[str, Any] = {"figures": {}, "config": {}, "files": []}
    for data in records(file):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            for item in record.history.item:
                name = item.key or "/".join(item.nested_key)
                found["figures"][name] = json.loads(item.value_json)
        elif kind == "run":
            found["name"] = record.run.display_name
            found["config"] |= {c.key: json.loads(c.value_json) for c in record.run.config.update}
        elif kind == "artifact":
            found["files"] += [entry.path for entry in record.artifact.manifest.contents]
    return found


def tensorboard() -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [folder] = Path("tensorboard/ochat_eval").iterdir()
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    read.Reload()
    texts = read.Tensors("table/text_summary")
    return {
        "name": folder.name,
        "steps": [[e.step, e.value] for e in read.Scalars(FIGURE)],
        "figures": {tag: read.Scalars(tag)[0].value for tag in read.Tags()["scalars"]},
        "table": texts[0].tensor_proto.string_val[0].decode(),
    }


def trackio() -> Any:
    from trackio.sqlite_storage import SQLiteStorage

    [run] = SQLiteStorage.get_runs("ochat_eval")
    logs = SQLiteStorage.get_logs("ochat_eval", run)
    return {
        "name": run,
        "steps": [[log["step"], log[FIGURE]] for log in logs],
        "figures": logs[0],
        "config": SQLiteStorage.get_run_config("ochat_eval", run),
    }


if __name__ == "__main__":
    readers = (mlflow, wandb, tensorboard, trackio)
    print(json.dumps({reader.__name__: reader() for reader in readers}, default=str))
