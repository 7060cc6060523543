"""What runs inside the sandbox, and the wire format that both sides speak.

`program` imports the wire format, and starts the sandboxed Python with this file's text.
Whatever comes out of the sandbox is plain data (`encode`, `decode`): JSON in which lists that
begin with a tag stand for the other types. Nothing is ever unpickled or evaluated.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import types

TYPE_CHECKING = False  # for type checkers it is true; to import typing takes a tenth of the start
if TYPE_CHECKING:
    from typing import Any
MAX_DEPTH = 100
_HEADER = 4  # bytes of a message's length
_COLLISIONS = 100  # elements of a set whose hash another has; there are hardly ever any
_NUMBERS_BELOW = 2.0**64  # those that JSON holds as they are
_KEPT_BACK = 0.002  # seconds of processor time for which answers wait for others
_SENT_BYTES = 1 << 15  # of answers, which are not kept back
_SMALL = 1000  # bytes of what is packed in no time


class Opaque:
    """Stands for a value that is no plain data: equal to nothing, neither true nor false."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise TypeError(f"the answer is not plain data but {self.type_name}")

    def __repr__(self) -> str:
        return f"<{self.type_name}>"


def encode(value: Any, *, strict: bool = False, depth: int = 0) -> Any:
    """The JSON form of plain data.

    Plain are None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset.
    An instance of a subclass counts as what its built-in base holds, whatever its own methods
    claim; a numpy scalar as its `.item()`. Anything else becomes `Opaque` at the other end.

    Raises:
        TypeError: not plain data, where `strict`.
        ValueError: nested more than MAX_DEPTH deep, as what contains itself is.
    """
    if value is None or value is True or value is False:
        return value
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    kind = type(value)  # not isinstance, which an object can mislead
    for base, encoder in _SCALARS.items():
        if issubclass(kind, base):
            return encoder(value)
    for base in (list, tuple, set, frozenset):
        if issubclass(kind, base):
            items = list(base.__iter__(value))
            if not _are_numbers(items):
                items = [encode(x, strict=strict, depth=depth + 1) for x in items]
            return [base.__name__, *items]
    if issubclass(kind, dict):
        pairs = list(dict.items(value))
        return [
            "dict",
            *[[encode(part, strict=strict, depth=depth + 1) for part in pair] for pair in pairs],
        ]
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic):
        return encode(value.item(), strict=strict, depth=depth + 1)
    if strict:
        raise TypeError(f"not plain data but {kind.__name__}")
    return ["opaque", kind.__name__[:100]]


def _are_numbers(items: list[Any]) -> bool:
    """Whether all are ints and floats that stand for themselves: a million take 0.1 s."""
    return {int, float}.issuperset(map(type, items)) and all(
        map(_NUMBERS_BELOW.__gt__, map(abs, items))
    )


def _encode_str(value: str) -> Any:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON would join two lone surrogates to one character
        return ["str", text.encode("utf-8", "surrogatepass").hex()]
    return text


def _encode_int(value: int) -> Any:
    number = int.__index__(value)
    # Python refuses to write or read decimal numbers of more than 4,300 digits.
    return number if number.bit_length() <= 64 else ["int", hex(number)]


def _encode_float(value: float) -> Any:
    number = float.__float__(value)
    return number if number - number == 0 else ["float", repr(number)]


def _encode_complex(value: complex) -> Any:
    number = complex.__complex__(value)
    return ["complex", _encode_float(number.real), _encode_float(number.imag)]


_SCALARS: dict[type, Any] = {
    str: _encode_str,
    int: _encode_int,
    float: _encode_float,
    complex: _encode_complex,
    bytes: lambda value: ["bytes", bytes.hex(value)],
}


def decode(node: Any, depth: int = 0) -> Any:
    """The plain data that a JSON form stands for; what was not plain comes back as `Opaque`.

    A form may be forged, so that what comes back can be encoded again, and holds no set or
    dict whose elements were made to collide: that takes time without end to put together.

    Raises:
        ValueError, TypeError: not a form that `encode` writes.
    """
    if isinstance(node, dict):
        raise ValueError("a JSON object")
    if not isinstance(node, list):
        return node
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    tag, *items = node
    if tag not in _DECODERS:
        raise ValueError("an unknown tag")
    return _DECODERS[tag](items, depth + 1)


def _decode_items(items: list[Any], depth: int) -> list[Any]:
    if {int, float, str, bool}.issuperset(map(type, items)):
        return items
    return [decode(item, depth) for item in items]


def _spread(items: list[Any]) -> list[Any]:
    """The elements of a set, or a dict's keys; ValueError where too many have one hash."""
    if len(items) - len(set(map(hash, items))) > _COLLISIONS:
        raise ValueError("elements with the same hash")
    return items


def _decode_dict(items: list[Any], depth: int) -> dict[Any, Any]:
    keys = _spread([decode(key, depth) for key, _ in items])
    return dict(zip(keys, (decode(value, depth) for _, value in items), strict=True))


_DECODERS: dict[str, Any] = {
    "list": _decode_items,
    "tuple": lambda items, depth: tuple(_decode_items(items, depth)),
    "set": lambda items, depth: set(_spread(_decode_items(items, depth))),
    "frozenset": lambda items, depth: frozenset(_spread(_decode_items(items, depth))),
    "dict": _decode_dict,
    "str": lambda items, _: bytes.fromhex(*items).decode("utf-8", "surrogatepass"),
    "int": lambda items, _: int("".join(items), 16),
    "float": lambda items, _: float(*items),
    "complex": lambda items, depth: complex(*[decode(item, depth) for item in items]),
    "bytes": lambda items, _: bytes.fromhex(*items),
    "opaque": lambda items, _: Opaque(str(*items)),
}


def digest(value: Any) -> str:
    """SHA-256 (hex) of plain data: the same for what is equal, as 1, 1.0 and True are.

    Different for what is not, save that NaN counts as equal to itself.

    Raises:
        ValueError: as `encode`.
    """
    import hashlib

    return hashlib.sha256(json.dumps(_one_form(encode(value))).encode()).hexdigest()


def _one_form(node: Any) -> Any:
    """The JSON form that stands for all plain data equal to what this one stands for."""
    if not isinstance(node, list):
        return _encode_int(int(node)) if type(node) in (bool, float) and not node % 1 else node
    tag, *items = node
    if tag in ("list", "tuple"):
        return [tag, *_one_sequence(items)]
    if tag == "dict":
        pairs = [[_one_form(key), _one_form(value)] for key, value in items]
        return [tag, *sorted(pairs, key=json.dumps)]
    items = [_one_form(item) for item in items]
    if tag in ("set", "frozenset"):
        return ["set", *sorted(items, key=json.dumps)]
    if tag == "complex" and items[1] == 0:
        return items[0]
    return [tag, *items]


def _one_sequence(items: list[Any]) -> list[Any]:
    if not _are_doubles(items):
        items = [_one_form(item) for item in items]
        if not _are_doubles(items):
            return items
    import array
    import hashlib

    # A million take 0.1 s so, and a second as text; -0.0 becomes 0.0.
    packed = array.array("d", map((0.0).__add__, items)).tobytes()
    return [{"doubles": hashlib.sha256(packed).hexdigest()}]


def _are_doubles(items: list[Any]) -> bool:
    """Whether all are numbers, or true and false, that a double says exactly."""
    return {int, float, bool}.issuperset(map(type, items)) and all(
        map((2.0**53).__gt__, map(abs, items))
    )


def frame(message: Any) -> bytes:
    """A message as it goes over the wire: its length in 4 bytes, then JSON."""
    return framed(json.dumps(message).encode())


def framed(data: bytes) -> bytes:
    """The same of a message's JSON."""
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
    return json.loads(_read(link, int.from_bytes(_read(link, _HEADER), "big")))


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


def _answer(module: types.ModuleType, call: Any, outbox: _Outbox) -> bool:
    """Call what the message names and answer; whether the function returned.

    That it has returned is said at once where packing millions of numbers takes longer than
    some calls may, and is not the program's time.
    """
    name, args, kwargs, seconds, digested = call
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
