"""What a machine has, and what follows for vLLM's arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from ochat_eval.engines.ray import Ray
from ochat_eval.engines.vllm import Vllm
from ochat_eval.model.model import Model
from ochat_eval.run import hardware


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16\nmodel name : x\n", True),
        ("processor : 0\nflags : sse avx2 amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx2 f16c\nbugs\t\t: bf16\n", False),
        ("flags : avx512_bf16x\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_told_from_the_processors_flags(tmp_path: Path, cpuinfo: str, has: bool):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert hardware.computes_bfloat16(tmp_path / "cpuinfo") is has


def test_without_a_list_of_flags_it_is_not_supposed(tmp_path: Path):
    assert not hardware.computes_bfloat16(tmp_path / "none")


@pytest.mark.parametrize(
    ("given", "has", "chosen"),
    [
        ({}, False, "float32"),
        ({"dtype": "auto"}, False, "float32"),
        ({"dtype": "bfloat16"}, False, "bfloat16"),
        ({"dtype": "auto"}, True, "auto"),
        ({}, True, None),
    ],
)
def test_on_cpus_without_bfloat16_it_is_float32_and_part_of_the_run(
    monkeypatch: pytest.MonkeyPatch, given: dict, has: bool, chosen: str | None
):
    monkeypatch.setattr(hardware, "computes_bfloat16", lambda: has)
    monkeypatch.setattr("ochat_eval.engines.vllm_build.cpu_build", lambda: True)
    model = Model(path="org/name", name="m")
    for engine in (Vllm(arguments=given), Ray(arguments=given)):
        assert engine.identity(model)["arguments"].get("dtype") == chosen
    monkeypatch.setattr("ochat_eval.engines.vllm_build.cpu_build", lambda: False)
    there = Vllm(arguments=given).identity(model)["arguments"]
    assert there == given, "on a GPU it is the model's own"
