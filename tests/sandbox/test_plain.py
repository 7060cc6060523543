"""The wire format between the sandbox and the outside."""

from __future__ import annotations

import json
import math
import signal
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ochat_eval.sandbox.child import frame
from ochat_eval.sandbox.plain import Opaque, decode, encode

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(alphabet=st.characters(exclude_categories=()))
    | st.binary()
)
hashables = st.recursive(
    scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
plain = st.recursive(
    hashables | st.sets(hashables, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(hashables, inner, max_size=4)
    ),
    max_leaves=20,
)


def shape(value: Any) -> Any:
    """The value with the type of each part (outside of sets), so that 1, True and 1.0 differ."""
    if isinstance(value, list | tuple):
        return type(value), [shape(x) for x in value]
    if isinstance(value, dict):
        return dict, [(shape(k), shape(v)) for k, v in value.items()]
    return type(value), value


def sent(form: Any) -> Any:
    """What the outside reads of a message, behind its length."""
    return json.loads(frame(form)[4:])


@settings(max_examples=50)
@given(plain)
def test_plain_data_arrives_as_it_was(value: Any) -> None:
    back = decode(sent(encode(value, strict=True)))
    assert back == value
    assert shape(back) == shape(value)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Counter("aa"), {"a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (OrderedDict(a=1), {"a": 1}),
        (signal.SIGKILL, 9),
        ("\ud83d\ude00", "\ud83d\ude00"),
        (-0.0, -0.0),
        (float("-inf"), float("-inf")),
        (math.nan, math.nan),
        (complex(-0.0, math.inf), complex(-0.0, math.inf)),
    ],
)
def test_subclasses_arrive_as_what_they_hold(value: Any, plain: Any) -> None:
    back = decode(sent(encode(value, strict=True)))
    assert repr(back) == repr(plain)


@pytest.mark.parametrize("value", [object(), bytearray(), range(3), iter([]), len, ..., {}.keys()])
def test_what_is_not_plain(value: object) -> None:
    back = decode(sent(encode(value)))
    assert isinstance(back, Opaque)
    assert back != back
    with pytest.raises(TypeError):
        bool(back)
    for wrap in ([value], (value,), {1: value}, [{2: [value]}]):
        with pytest.raises(TypeError, match="not plain data"):
            encode(wrap, strict=True)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_an_exceptions_text_arrives_whatever_is_in_it(text: str) -> None:
    assert sent(["raised", "ValueError", text]) == ["raised", "ValueError", text]


def test_depth_is_limited() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    assert decode(sent(encode(value))) == value
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        encode([value])
