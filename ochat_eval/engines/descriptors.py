"""How many connections this process may have open at a time."""

from __future__ import annotations

import os
import resource

from ochat_eval.records import UserError

_KEPT = 16
"""File descriptors for all else: the journal, files that are written, a name that is looked up."""


def connections(wanted: int, where: str) -> int:
    """As many connections as are wanted, or fewer where there are not so many file descriptors.

    The soft limit (`ulimit -Sn`) is raised to what is needed, as far as the hard one allows.

    Args:
        where: the options' place in the configuration, for the message.

    Raises:
        UserError: there is none left.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/dev/fd"))
    needed = in_use + _KEPT + wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    if (room := soft - in_use - _KEPT) < 1:
        raise UserError(
            f"{where}: this process may have {soft} files open and has {in_use}, which leaves none "
            "for connections; raise the limit (ulimit -n)"
        )
    return room
