"""Which checkpoints there are, at which step, and whether they are whole."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ochat_eval.records import UserError
from ochat_eval.series.find import check_places, checkpoints, lacking
from tests.series.folders import checkpoint, weights

NAMES = [
    ("checkpoint-100", 100, "step"),
    ("step_200", 200, "step"),
    ("epoch-3", 3, "epoch"),
    ("epoch=3-step=1200", 1200, "step"),
    ("Checkpoint-7-merged", 7, "step"),
    ("global_step12", 12, "step"),
    ("llama-3-epoch_0.5", 0.5, "epoch"),
    ("iter_0000500", 500, "step"),
    ("v2-final", None, "step"),
    ("footstep-9", None, "step"),
]


@pytest.mark.parametrize(("name", "step", "unit"), NAMES)
def test_a_step_is_read_from_the_name(tmp_path, name, step, unit):
    [one] = checkpoints([str(checkpoint(tmp_path / name))])
    assert (one.step, one.unit) == (step, unit)


@pytest.mark.parametrize(
    ("state", "step"),
    [('{"global_step": 40}', 40), ('{"global_step": "40"}', None), ("[1]", None), ("{", None)],
)
def test_or_from_the_trainers_state(tmp_path, state, step):
    path = checkpoint(tmp_path / "final")
    (path / "trainer_state.json").write_text(state)
    [one] = checkpoints([str(path)])
    assert one.step == step


def test_a_folder_a_pattern_and_a_list_find_the_same_in_the_order_of_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("checkpoint-1000", "checkpoint-200", "checkpoint-30"):
        checkpoint(Path("out") / name)
    (Path("out") / "tmp-checkpoint-40").mkdir()
    (Path("out") / "runs").mkdir()
    (Path("out") / "checkpoint-9.txt").touch()
    wanted = [30, 200, 1000]
    listed = ["out/checkpoint-30", "out/checkpoint-1000", "out/checkpoint-200"]
    for places in (["out"], ["out/"], ["out/check*"], ["o*"], listed, ["out", *listed]):
        assert [one.step for one in checkpoints(places)] == wanted, places
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        check_places(["out", "nowhere"])


def _sharded(path: Path) -> None:
    (path / "model.safetensors").unlink()
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    weights(path / "model-1-of-2.safetensors")


def _header(text: bytes) -> Callable[[Path], object]:
    whole = struct.pack("<Q", len(text)) + text
    return lambda path: (path / "model.safetensors").write_bytes(whole)


LACKING: list[tuple[Callable[[Path], object], str | None]] = [
    (lambda path: None, None),
    (lambda path: (path / "config.json").unlink(), "it has no config.json"),
    (lambda path: (path / "config.json").write_text('{"a'), "config.json cannot be read whole"),
    (lambda path: (path / "config.json").write_text("[]"), "config.json holds no JSON object"),
    (lambda path: (path / "tokenizer.json").unlink(), "it has no tokenizer"),
    (lambda path: (path / "model.safetensors").unlink(), "it has no weights"),
    (lambda path: (path / "adapter_config.json").touch(), "adapter_config.json cannot be read"),
    (lambda path: (path / "adapter_config.json").write_text('{"r": 8}'), "no adapter_model.safe"),
    (lambda path: weights(path / "model.safetensors", 4096, cut=4), "4,201 of 4,205 bytes"),
    (lambda path: (path / "model.safetensors").write_bytes(b""), "its header is not whole"),
    (lambda path: (path / "model.safetensors").write_bytes(b"\xff" * 40), "header is not whole"),
    (_header(b"{}"), "its header cannot be read"),
    (_header(b'{"w": {"data_offsets": [0, "x"]}}'), "its header cannot be read"),
    (_header(b"[" * 5000), "its header cannot be read"),
    (_sharded, "model-2-of-2.safetensors is missing"),
    (lambda path: (path / "x.index.json").write_text('{"weight_map": 1}'), "names no files"),
    (lambda path: (path / "pytorch_model.bin").write_bytes(b"PK\3\4 cut"), "cut off or damaged"),
]


@pytest.mark.parametrize(("damage", "said"), LACKING)
def test_what_is_not_whole_is_told(tmp_path, damage, said):
    path = checkpoint(tmp_path / "checkpoint-1")
    damage(path)
    found = lacking(path)
    assert found == said if said is None else said in str(found)
