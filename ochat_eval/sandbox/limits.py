"""What one model-written program may use, and which sandboxes there are."""

from __future__ import annotations

from dataclasses import dataclass

SANDBOXES = ("bwrap", "none")
"""`bwrap`: bubblewrap. `none`: unsafe, the program can do whatever the user who runs it can;
only the limits hold, and for root not the one on processes."""


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        wall_seconds: time for loading the program and all calls together.
        cpu_seconds: processor time of each of its processes.
        memory_bytes: address space of each of its processes; where there is a control group
            (`cgroup`), also the memory of all together, beside what is in /tmp.
        processes: processes and threads at a time.
        tmp_bytes: all it may write to /tmp.
        message_bytes: the longest answer to one call, encoded.
    """

    wall_seconds: float = 20.0
    cpu_seconds: int = 5
    memory_bytes: int = 1 << 30
    processes: int = 8
    tmp_bytes: int = 16 << 20
    message_bytes: int = 16 << 20
