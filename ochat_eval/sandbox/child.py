"""What runs inside the sandbox: it loads the program, and answers calls of its functions.

What it is sent was written by `marshal`, since it trusts who sends. What it answers is JSON of
plain data (`plain`).
"""

from __future__ import annotations

import marshal
import os
import resource
import signal
import sys
import time
import types

from ochat_eval.sandbox.plain import as_json, decode, digest, encode

TYPE_CHECKING = False  # for type checkers it is true; to import typing takes a tenth of the start
if TYPE_CHECKING:
    from typing import Any
_HEADER = 4  # bytes of a message's length
_KEPT_BACK = 0.002  # seconds of processor time for which answers wait for others
_SENT_BYTES = 1 << 15  # of answers, which are not kept back
_SMALL = 1000  # bytes of what is packed in no time


def frame(message: Any) -> bytes:
    """An answer as it goes over the wire: its length in 4 bytes, then JSON."""
    # A lone surrogate may stand in an exception's text; json.loads takes it so.
    return framed(as_json(message).encode("utf-8", "surrogatepass"))


def framed(data: bytes) -> bytes:
    """Any message as it goes over the wire."""
    return len(data).to_bytes(_HEADER, "big") + data


def _read(link: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = os.read(link, min(size - len(data), 1 << 20))
        if not part:  # the other side is gone
            os._exit(0)
        data += part
    return bytes(data)


def _receive(link: int) -> Any:
    return marshal.loads(_read(link, int.from_bytes(_read(link, _HEADER), "big")))


def _send(link: int, data: bytes) -> None:
    while data:
        data = data[os.write(link, data) :]


def _confine(limits: dict[str, int], user: int | None) -> None:
    """Set the resource limits (by their RLIMIT_ names), then become `user` for good."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # One more second, so that SIGXCPU, not SIGKILL, says that it was the time.
        more = 1 if name == "CPU" and soft == value != hard else 0
        resource.setrlimit(number, (soft, soft + more))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _die_with_parent() -> None:
    """Without bwrap, which sees to it: have the kernel kill this process with its parent."""
    import ctypes

    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


def _load(source: str) -> types.ModuleType | list[str]:
    """The program as an executed module, or the message that says why it is none."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module  # dataclasses and pickle look it up
    try:
        code = compile(source, "solution.py", "exec", dont_inherit=True)
    except Exception as error:  # whatever the compiler says
        return ["uncompiled", *describe(error)]
    try:
        exec(code, module.__dict__)
    except BaseException as error:  # untrusted code may raise anything
        return ["raised", *describe(error)]
    return module


def describe(error: BaseException) -> list[str]:
    """The name of an exception's type, and its text as far as that can be had."""
    try:
        text = str(error)[:500]
    except BaseException:  # a program's own __str__, or a number too long to print
        text = ""
    return [type(error).__name__[:100], text]


class _Outbox:
    """Messages to the other side; small ones together, for each write wakes it up.

    Its view of when a call ended is so as exact as `_KEPT_BACK`.
    """

    def __init__(self, link: int) -> None:
        self._link = link
        self._waiting = bytearray()
        self._sent = time.process_time()

    def add(self, message: Any, *, now: bool = False) -> None:
        """Take a message, which goes out now or soon."""
        self._waiting += frame(message)
        due = time.process_time() - self._sent > _KEPT_BACK
        if now or due or len(self._waiting) > _SENT_BYTES:
            self.send()

    def send(self) -> None:
        """All that waits goes out."""
        data, self._waiting = bytes(self._waiting), bytearray()
        _send(self._link, data)
        self._sent = time.process_time()


def _is_small(value: Any) -> bool:
    """Whether a value is packed in no time: a short text or number, or a short list of them."""
    parts = value if type(value) in (list, tuple) else [value]
    return len(parts) <= _SMALL // 10 and all(
        type(part) in (int, str, float, bool, type(None)) and sys.getsizeof(part) <= _SMALL
        for part in parts
    )


def _answer(module: types.ModuleType, call: bytes, outbox: _Outbox) -> bool:
    """Call what the message names and answer; whether the function returned.

    That it has returned is said at once where packing millions of numbers takes longer than
    some calls may, and is not the program's time.
    """
    name, args, kwargs, seconds, digested = marshal.loads(call)
    try:
        if not hasattr(module, name):
            raise NameError(f"name {name!r} is not defined")
        args, kwargs = decode(args), decode(kwargs)
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process
        try:
            value = getattr(module, name)(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        taken = time.process_time() - begin
        if not _is_small(value):
            outbox.add(["returned"], now=True)
        outbox.add(["value", digest(value) if digested else encode(value), taken])
    except BaseException as error:  # untrusted code may raise anything
        outbox.add(["raised", *describe(error)])
        return False
    return True


def _main() -> None:
    """Answer calls until the other side closes; its socket is our stdin."""
    link = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    start = _receive(link)
    sys.path.extend(start["path"])
    if start["die_with_parent"]:
        _die_with_parent()
    _confine(start["limits"], start["user"])
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    _send(link, frame(["ready"]))
    out_of_memory = frame(["raised", "MemoryError", ""])
    try:
        module = _load(_receive(link))
        if isinstance(module, list):
            _send(link, frame(module))
            return
        _send(link, frame(["loaded"]))
        outbox = _Outbox(link)
        while True:
            all(_answer(module, call, outbox) for call in _receive(link))  # to the first failure
            outbox.send()
    except MemoryError:  # not even room to say so
        _send(link, out_of_memory)


if __name__ == "__main__":
    _main()
