"""Commands from a process that has other people's heavy packages in it, and forks for each.

To import transformers, torch and vLLM takes most of a command's seconds, and says nothing of the
guide. All of ours is imported anew, the environment, the folder and the streams are the caller's,
and the exit code is the command's: a page's shell finds it as `ochat-eval` and `python -`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tests.conftest import environment
from tests.real_engine import SETTINGS

_OURS = ("ochat_eval", "tests")
_CLIENT = """#!/bin/sh
'''exec' {quoted} -IS "$0" "$@" # a path with a blank cannot stand behind #!
' '''
import json, os, socket, sys
if sys.argv[0].endswith("/python") and sys.argv[1:] != ["-"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({address!r})
    message = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [message], [0, 1, 2])
    sys.exit(int(asked.recv(9) or 1))
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """Starts the process; gives the folder of the commands, which comes first in a PATH.

    Args:
        folder: an empty one, whose path is short, for it holds a socket.
    """
    address = str(folder / "socket")
    python = sys.executable
    named = {"python": python, "quoted": shlex.quote(python), "address": address}
    for name in ("ochat-eval", "python"):
        (folder / name).write_text(_CLIENT.format(**named))
        (folder / name).chmod(0o755)
    server = subprocess.Popen(  # its streams are pipes, as those of its commands
        [sys.executable, "-m", "tests.docs.warm", address], env=environment(**SETTINGS),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None and server.stderr is not None
        assert server.stdout.readline() == b"ready\n", server.stderr.read().decode()
        yield folder
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # and a command that hangs
        server.communicate()


def _import_packages() -> None:
    """Imports what is not ours, as our own functions do."""
    import hydra  # noqa: F401
    import pandas  # noqa: F401

    from ochat_eval.engines.vllm_build import import_vllm
    from ochat_eval.model.imports import quiet_transformers

    _ = quiet_transformers().AutoTokenizer  # imported when it is asked for
    import_vllm("the guide")
    import vllm

    _ = vllm.LLM
    for name in [name for name in sys.modules if name.split(".")[0] in _OURS]:
        del sys.modules[name]


def _next_command(address: str) -> list[str]:
    """Waits for commands; returns in a new process for each, which has become the caller's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            with listening.accept()[0] as asked:
                message, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
                if (child := os.fork()) == 0:
                    break
                for stream in streams:
                    os.close(stream)
                _, status = os.waitpid(child, 0)
                asked.send(str(os.waitstatus_to_exitcode(status)).encode())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    argv, folder, changed = json.loads(message)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(changed)
    return argv


def _run(argv: list[str]) -> int:
    """The command in this process, as its own executable would run it."""
    sys.argv = argv[1:] if (python := argv[0].endswith("/python")) else argv
    sys.path[0] = "" if python else str(Path(argv[0]).parent)
    if python:
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
        return 0
    from ochat_eval.__main__ import main

    return main()


def _end(code: int) -> NoReturn:
    """Ends as an interpreter does, but takes none of the packages apart: that takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _import_packages()
    gc.freeze()
    try:
        code = _run(_next_command(sys.argv[1]))
    except SystemExit as e:
        assert isinstance(e.code, int | None), e.code
        code = e.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)
