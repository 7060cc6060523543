"""What this machine has, asked without importing torch."""

from __future__ import annotations

import os
import subprocess


def gpus() -> list[str] | None:
    """The names of the NVIDIA GPUs that this process may use; None where nvidia-smi does not say.

    `CUDA_VISIBLE_DEVICES` is heeded.
    """
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        if visible.strip() in ("", "-1"):
            return []
        command += ["-i", visible]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))
