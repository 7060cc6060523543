"""LoRA adapters as peft leaves them: small, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

UP = "model.layers.0.mlp.up_proj"
"""A module of the tiny model (`tests/serve/serving.py`): 64 rows, 64 columns."""


def adapter(
    folder: Path, scale: float = 1.0, *, seed: int = 0, module: str = UP, rank: int = 4,
    shape: tuple[int, int] = (64, 64), **config: Any,
) -> Path:  # fmt: skip
    """An adapter's folder. What it adds to the module's matrix is random; a `scale` of 0 adds
    nothing, as before any training."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    name = f"base_model.model.{module}"
    matrices = {
        f"{name}.lora_A.weight": random.normal(size=(rank, shape[1])),
        f"{name}.lora_B.weight": random.normal(size=(shape[0], rank)) * scale,
    }
    save_file(
        {name: one.astype(np.float32) for name, one in matrices.items()},
        folder / "adapter_model.safetensors",
    )
    told = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "base_model_name_or_path": "tiny"}
    told["target_modules"] = [module.rpartition(".")[2]]
    (folder / "adapter_config.json").write_text(json.dumps({**told, **config}))
    return folder
