"""The system calls that a program under bubblewrap may not make: a filter in classic BPF.

Put together by hand, so that no library is needed. The kernel runs it before each system call
of the sandbox (seccomp(2)); it is a list of instructions of 8 bytes each, which can load 32 bits
of `struct seccomp_data` (number at 0, architecture at 4, arguments from 16 on), compare and jump
forward. A denied call says EPERM, as it does in a container; where libraries know what to do
without a call it says ENOSYS, and for a socket's family EAFNOSUPPORT. Other architectures' calls
end the program (SIGSYS): the filter does not know their numbers.

The filter names what is denied, for what Python and numpy need differs from version to version.
Calls that are younger than this table do not exist in the sandbox (`_LAST`).
"""

from __future__ import annotations

import errno
import functools
import platform
import socket
import struct
import sys

_Call = int | tuple[int, int]
_DENIED: dict[str, _Call] = {
    # name: (number on x86_64, on aarch64); calls with the same number on both have one.
    # Kernel memory that no limit of a process counts, or that outlives it: key rings, System V
    # IPC, message queues, extended attributes of /tmp, files without a folder.
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": 463,
    "memfd_create": (319, 279), "memfd_secret": 447,
    # Namespaces and mounts.
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "open_tree_attr": 467,
    # Other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": 440, "process_mrelease": 448, "pidfd_getfd": 438, "kcmp": (312, 272),
    "personality": (135, 92), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # Large and seldom used parts of the kernel.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # The machine; root's calls, and a program is not root.
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "quotactl": (179, 60), "quotactl_fd": 443, "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
}  # fmt: skip
_DENIED_X86 = {"modify_ldt": 154, "iopl": 172, "ioperm": 173}  # only there
_ABSENT = {"clone3": 435, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}
"""ENOSYS: libc then calls clone, whose flags a filter can see (clone3's are in memory)."""
_LAST = 469
"""The highest number that is known, file_setattr of Linux 6.17."""
_SOCKETS = {"socket": (41, 198), "socketpair": (53, 199)}
_CLONE = (56, 220)
_NEW_NAMESPACE = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_…, linux/audit.h
_X32 = 0x40000000  # this bit in a number on x86_64: a call of the x32 ABI
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUAL, _GREATER, _AND_BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # linux/bpf_common.h
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_…
_ENDS = {
    "allow": _ALLOW,
    "denied": _ERROR | errno.EPERM,
    "absent": _ERROR | errno.ENOSYS,
    "family": _ERROR | errno.EAFNOSUPPORT,
    "kill": _KILL,
}
_Step = tuple[int, int, str, str]  # operation, operand, where to if it holds, and if not


def machine() -> str:
    """The architecture of this Python's system calls, `platform.machine()` if it has 64 bits."""
    return platform.machine() if sys.maxsize > 2**32 else f"32 bits on {platform.machine()}"


@functools.cache
def program(architecture: str) -> bytes | None:
    """The filter as the kernel takes it; None for an architecture that there is no table of."""
    if architecture not in _ARCHITECTURES:
        return None
    column = 0 if architecture == "x86_64" else 1

    denied = [call if isinstance(call, int) else call[column] for call in _DENIED.values()]
    steps: list[_Step] = [
        (_LOAD, _ARCHITECTURE, "", ""),
        (_EQUAL, _ARCHITECTURES[architecture], "", "kill"),
        (_LOAD, _NUMBER, "", ""),
    ]
    if architecture == "x86_64":
        steps.append((_AND_BITS, _X32, "kill", ""))
        denied += _DENIED_X86.values()
    steps.append((_GREATER, _LAST, "absent", ""))
    steps += [(_EQUAL, call, "denied", "") for call in denied]
    steps += [(_EQUAL, call, "absent", "") for call in _ABSENT.values()]
    steps += [(_EQUAL, entry[column], "arguments", "") for entry in _SOCKETS.values()]
    steps.append((_EQUAL, _CLONE[column], "", "allow"))
    steps += [(_LOAD, _FIRST_ARGUMENT, "", ""), (_AND_BITS, _NEW_NAMESPACE, "denied", "allow")]
    places = {"arguments": len(steps)}
    steps += [(_LOAD, _FIRST_ARGUMENT, "", ""), (_EQUAL, socket.AF_UNIX, "allow", "family")]
    for name, value in _ENDS.items():
        places[name] = len(steps)
        steps.append((_RETURN, value, "", ""))
    return b"".join(_instruction(at, step, places) for at, step in enumerate(steps))


def _instruction(at: int, step: _Step, places: dict[str, int]) -> bytes:
    """One step in the form of `struct sock_filter`; a jump counts from the next step."""
    operation, operand, *targets = step
    jumps = [places[target] - at - 1 if target else 0 for target in targets]
    return struct.pack("=HBBI", operation, *jumps, operand)
