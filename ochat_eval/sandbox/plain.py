"""Plain data: the only thing that comes out of the sandbox, and its form in JSON.

`encode` gives, and `decode` takes, JSON in which lists that begin with a tag stand for the other
types. Nothing is ever unpickled or evaluated. Both sides use this file: it imports next to nothing,
for it is started with every program (`bwrap.python`).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # for type checkers it is true; to import typing takes a tenth of the start
if TYPE_CHECKING:
    from typing import Any
MAX_DEPTH = 100
_COLLISIONS = 100  # elements of a set whose hash another has; there are hardly ever any
_NUMBERS_BELOW = 2.0**64  # those that JSON holds as they are
_ESCAPES = {34: '\\"', 92: "\\\\", **{code: f"\\u{code:04x}" for code in range(32)}}


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


def as_json(node: Any) -> str:
    """What `encode` returned as JSON: to import json takes half of a program's start."""
    if node is None:
        return "null"
    if node is True or node is False:
        return "true" if node else "false"
    if isinstance(node, str):
        return f'"{node.translate(_ESCAPES)}"'
    if not isinstance(node, list):
        return repr(node)
    first, *items = node
    if items and {int, float}.issuperset(map(type, items)):
        return f"[{as_json(first)}, {repr(items)[1:]}"
    return f"[{', '.join(map(as_json, node))}]"


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
    import json

    return hashlib.sha256(json.dumps(_one_form(encode(value))).encode()).hexdigest()


def _one_form(node: Any) -> Any:
    """The JSON form that stands for all plain data equal to what this one stands for."""
    if not isinstance(node, list):
        return _encode_int(int(node)) if type(node) in (bool, float) and not node % 1 else node
    import json

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
    packed = _doubles(items)
    if packed is None:
        items = [_one_form(item) for item in items]
        packed = _doubles(items)
    if packed is None:
        return items
    import hashlib

    return [{"doubles": hashlib.sha256(packed).hexdigest()}]  # of a million in a tenth of a second


def _doubles(items: list[Any]) -> bytes | None:
    """Numbers, true and false as doubles, -0.0 as 0.0; None for what these do not say exactly."""
    if not {int, float, bool}.issuperset(map(type, items)):
        return None
    import array

    try:
        packed = array.array("d", items)
    except OverflowError:
        return None
    if max(map(abs, (min(packed, default=0.0), max(packed, default=0.0)))) >= 2.0**53:
        return None
    if array.array("d", [-0.0]).tobytes() in packed.tobytes():
        packed = array.array("d", map((0.0).__add__, packed))
    return packed.tobytes()
