"""The command that starts the sandboxed Python under bubblewrap."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from types import TracebackType

from ochat_eval.records import UserError
from ochat_eval.sandbox import seccomp

# Solutions may import these; the rest of site-packages holds, among others, the answers.
_PACKAGES = ("numpy",)
PACKAGE_FOLDER = "/packages"  # in the sandbox


def is_root() -> bool:
    """Whether this is root itself, not a user that a user namespace calls root."""
    ids = Path("/proc/self/uid_map").read_text().split()
    return os.geteuid() == 0 and ids == ["0", "0", "4294967295"]


@functools.cache
def python() -> tuple[str, ...]:
    """The command of the sandboxed Python: the interpreter behind any virtual environment."""
    binary = Path(
        sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    # Compiled here, once: it takes a third of the start. The interpreter is this very one.
    files = [Path(__file__).with_name(name) for name in ("plain.py", "child.py")]
    codes = marshal.dumps([compile(file.read_bytes(), file.name, "exec") for file in files])
    run = (
        "import binascii, marshal, sys\n"
        f"plain, child = marshal.loads(binascii.a2b_base64({b64encode(codes)!r}))\n"
        "module = sys.modules['ochat_eval.sandbox.plain'] = type(sys)('plain')\n"
        "exec(plain, module.__dict__); exec(child)"
    )
    # -s -P -S: no site-packages of any kind, no current folder. Not -I, which would ignore
    # PYTHONHASHSEED; the environment is ours.
    return str(binary), "-s", "-P", "-S", "-c", run


def package_folders() -> list[str]:
    """The folders in which those of `_PACKAGES` lie that are installed."""
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    places = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    return sorted({str(Path(place).parent) for place in places})


@functools.cache
def _bwrap_files() -> list[str]:
    """bwrap's options for the files: shared libraries, Python's own, `_PACKAGES`, devices."""
    libraries = {f"{root}/{lib}" for root in ("/usr", sys.base_prefix) for lib in ("lib", "lib64")}
    places = {place: place for place in (*sorted(libraries), "/etc/ld.so.cache", python()[0])}
    for folder in package_folders():
        for name in _PACKAGES:
            for part in (name, f"{name}.libs"):  # where wheels keep their shared libraries
                places[f"{PACKAGE_FOLDER}/{part}"] = f"{folder}/{part}"
    options: list[str] = []
    for folder in ("/lib", "/lib64"):
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        else:
            places[folder] = folder
    for inside, outside in places.items():
        # --dir: the folders above, which bwrap otherwise makes for their owner only.
        if os.path.exists(outside):
            options += ["--dir", os.path.dirname(inside), "--ro-bind", outside, inside]
    for library in sorted(libraries):
        for packages in Path(library).glob("python*/*-packages"):
            options += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    options += ["--dir", "/dev"]
    for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
        options += ["--dev-bind", device, device]
    return options


class Plumbing:
    """The pipes between this process and a bwrap that it starts; a context manager.

    bwrap tells the number of the sandbox's first process, then waits for `go` before it starts
    anything: so both of its processes can be put into a control group before.

    Attributes:
        theirs: the ends that bwrap inherits.
    """

    def __init__(self) -> None:
        self._told, tell = os.pipe()
        wait, self._go = os.pipe()
        self.theirs = [tell, wait]
        self.options = ["--info-fd", str(tell), "--block-fd", str(wait)]
        self._ours = [self._told, self._go]
        program = seccomp.program(seccomp.machine())
        if program is not None:
            read, write = os.pipe()  # which holds 64 KiB, more than any filter has
            os.write(write, program)
            os.close(write)
            self.theirs.append(read)
            self.options += ["--seccomp", str(read)]

    def __enter__(self) -> Plumbing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in (*self.theirs, *self._ours):
            os.close(descriptor)

    def first(self) -> int | None:
        """The sandbox's first process, with whom all others die; None if bwrap has ended."""
        while self.theirs:  # so that bwrap's end can be seen
            os.close(self.theirs.pop())
        told = b""
        while b"}" not in told:
            part = os.read(self._told, 1000)
            if not part:
                return None
            told += part
        return int(json.loads(told)["child-pid"])

    def go(self) -> None:
        """Let it start Python."""
        with contextlib.suppress(BrokenPipeError):  # it has ended
            os.write(self._go, b"!")


def bwrap(plumbing: Plumbing, tmp_bytes: int) -> list[str]:
    """The bwrap command, to stand before Python's."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise UserError(
            "sandbox=bwrap: bubblewrap is not installed: apt-get install bubblewrap, or accept the "
            "risk of sandbox=none"
        )
    known = _bwrap_help(bwrap)
    command = [bwrap, *plumbing.options, "--die-with-parent", "--new-session"]
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
    if is_root():
        # The kernel limits nobody's processes who is root outside, whatever the namespace.
        # So no user namespace, and the child becomes an ordinary user (`_confine`).
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += [
            "--unshare-user",
            *(["--disable-userns"] if "--disable-userns" in known else []),
        ]
    command += _bwrap_files()
    if "--size" in known:  # bubblewrap 0.7; before, /tmp cannot be limited and is read-only
        command += ["--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", "/tmp"]
    return [*command, "--dir", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--"]


@functools.cache
def _bwrap_help(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], check=True, capture_output=True, text=True).stdout
