from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.twin.arduino_json import read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(st.characters(codec="ascii"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{a:1,'b':2}", {"a": 1, "b": 2}),
        (b'{"on":tree,"v":fxxxx,"x":nope}', {"on": True, "v": False, "x": None}),
        (b'{"x":.5,"y":+5,"z":-1e2}', {"x": 0.5, "y": 5, "z": -100.0}),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_it_is_lenient(text: bytes, value: Any) -> None:
    assert read_json(text).value == value


@pytest.mark.parametrize("text", [b'{"on":tru,"v"', b'{"x":1,}', b'{"x"1', b'{"x":--1,', b'{"x":1-2,', b'{"a\0', b"{,"])
def test_an_error_ends_the_reading_where_it_is(text: bytes) -> None:
    reading = read_json(text + b'"v":true}')
    assert reading.end == "invalid"
    assert reading.taken < len(text) + 9


@given(JSON)
def test_json_is_read_as_any_reader_would(value: Any) -> None:
    text = json.dumps({"x": value}, ensure_ascii=True).encode()
    if b"\\u" in text:
        return
    reading = read_json(text + b"rest")
    assert (reading.end, reading.taken, reading.value) == ("whole", len(text), {"x": value})
    for cut in range(len(text)):
        assert read_json(text[:cut]).end == "more"
