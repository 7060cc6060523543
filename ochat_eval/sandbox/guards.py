"""What protects this machine from model-written programs, in words; docs/security.md has more."""

from __future__ import annotations

from ochat_eval.sandbox import cgroup, seccomp
from ochat_eval.sandbox.bwrap import is_root


def guards(sandbox: str) -> dict[str, str]:
    """What a sandbox has here, for a run's manifest; by what it guards.

    Args:
        sandbox: one of `SANDBOXES`; it works here.
    """
    memory = "of all processes together, by a control group"
    if cgroup.home() is None:
        memory = f"of each process by itself, for {cgroup.why_none()}"
    if sandbox != "bwrap":
        return {"kind": f"{sandbox}: programs can do what this user can", "memory": memory}
    calls = "filtered"
    if seccomp.program(seccomp.machine()) is None:
        calls = f"not filtered, for there is no table of {seccomp.machine()}"
    user = "one of its own, of no rights" if is_root() else "this one, in a namespace"
    return {"kind": sandbox, "user": user, "memory": memory, "system_calls": calls}
