"""What this machine has, asked without importing torch."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path


def gpus() -> list[str] | None:
    """The names of the NVIDIA GPUs that this process may use; None where nvidia-smi does not say.

    `CUDA_VISIBLE_DEVICES` is heeded.
    """
    return _nvidia_smi("name")


def gpu_memory_mib() -> list[int] | None:
    """The memory in use on each of these GPUs, in MiB; None as in `gpus`."""
    found = _nvidia_smi("memory.used")
    return None if found is None else [int(line) for line in found if line.isdecimal()]


def _nvidia_smi(query: str) -> list[str] | None:
    """A line of nvidia-smi's for each GPU that this process may use."""
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
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


def computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 itself: AVX-512-BF16, AMX, or ARM's extension.

    One that does not emulates it: with AVX2 alone, float32 was five times as fast.

    Args:
        cpuinfo: the kernel's list of what the processor has; where there is none, it has not.
    """
    try:
        flags = re.findall(r"^(?:flags|Features)\s*:(.*)", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return False
    return any({"avx512_bf16", "amx_bf16", "bf16"} & set(line.split()) for line in flags)
