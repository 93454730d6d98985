"""Files are seen whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from calibration.durable_files import canonical_json, hash_bytes, hash_file, install_folder, replacing, write_atomically


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_was_there_stays_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = write_atomically(tmp_path / "made" / "status.json", "before")

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(os, call, fail)
        write_atomically(path, "after")
    assert path.read_text() == "before" and list(path.parent.iterdir()) == [path]


def test_text_and_bytes_take_the_place_of_what_is_there(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "a.txt", "süß\n")
    assert path.read_bytes() == "süß\n".encode() and hash_file(path) == hash_bytes("süß\n".encode())
    assert write_atomically(path, b"\x00", durable=False).read_bytes() == b"\x00"
    with pytest.raises(KeyboardInterrupt), replacing(path) as draft:
        draft.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"\x00" and list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_a_former_one(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    for content in ("first", "second"):
        draft = tmp_path / ".index.unfinished"
        draft.mkdir()
        (draft / content).write_text(content)
        assert install_folder(draft, folder) == folder
        assert [path.name for path in folder.iterdir()] == [content]
    assert list(tmp_path.iterdir()) == [folder]


def test_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1.5, None], "a": "ü"}) == '{"a":"\\u00fc","b":[1.5,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
