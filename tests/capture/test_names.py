"""The same letters are the same name, however they were typed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.names import NameProblem, clean_name, printable


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (unicodedata.normalize("NFD", "Köln 1"), "Köln 1"),
        ("X\u00a01", "X 1"),
        ("X1\u200b", "X1"),
        (" \ufeffRIC  5 ", "RIC 5"),
        ("Μακεδονία Φίλιππος Β΄", "Μακεδονία Φίλιππος Β΄"),
    ],
)
def test_invisible_differences_make_no_other_coin(typed: str, name: str) -> None:
    assert clean_name(typed) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("typed", ["", " \u200b", "a\nb", "a\x1b[31mb", "\ud800", "a\u2028b"])
def test_control_characters_and_nothing_are_no_names(typed: str) -> None:
    with pytest.raises(NameProblem):
        clean_name(typed)


@given(st.text())
def test_a_clean_name_stays_as_it_is_and_prints_in_one_line(text: str) -> None:
    assert len(printable(text).splitlines()) <= 1
    try:
        name = clean_name(text)
    except NameProblem:
        return
    assert clean_name(name) == name == printable(name)
