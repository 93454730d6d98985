"""Reading the lab's YAML files: validated, with the line and the remedy in every error.

Scalars are read as text and converted by the models, so that accession number ``2024.10`` never becomes
the float 2024.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from calibration.durable_files import read_limit
from pipeline.errors import LabError
from pipeline.validation import Lines, Location, describe, without_tags

Model = TypeVar("Model", bound=BaseModel)

MAX_MB, MAX_VALUES, MAX_LEVELS = 2.0, 50_000, 40  # of a file; aliases count as what they stand for
EMPTY = frozenset({"", "~", "null", "Null", "NULL"})


def read_document(path: Path, model: type[Model], **extra: Any) -> Model:
    """Read a YAML file into `model`; `extra` are fields that the file itself does not hold, such as its name.

    Raises
    ------
    LabError
        Naming file, line and remedy, if the file is missing, is not YAML, or does not fit the model.
    """
    data, lines = parse(path)
    if not isinstance(data, dict):
        raise LabError(
            f"{path}, line 1: expected `key: value` lines, found {_kind(data)}. `rig init` writes an example."
        )
    try:
        return model.model_validate({**data, **extra})
    except ValidationError as error:
        raise LabError(describe(path, error.errors(), lines, model)) from error


def parse(path: Path) -> tuple[Any, Lines]:
    """Parse a YAML file into text, lists and dicts, and the line (from 1) on which each element stands.

    Raises
    ------
    LabError
        If the file cannot be read, is not YAML, or gives a key twice.
    """
    try:
        if path.exists() and not path.is_file():
            raise LabError(f"{path} is no file but a folder or a device. Put a text file in its place.")
        most_mb = read_limit("RIG_MAX_YAML_MB", MAX_MB)
        if path.stat().st_size > most_mb * 1e6:
            raise LabError(
                f"{path} is larger than {most_mb:g} MB. Check that it is a file of a lab; if so, set RIG_MAX_YAML_MB."
            )
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise LabError(f"{path} does not exist. `rig init` makes a lab with all its files.") from error
    except UnicodeDecodeError as error:
        raise LabError(f"{path} cannot be read: it is not UTF-8. Save it as plain UTF-8 text.") from error
    except OSError as error:
        raise LabError(
            f"{path} cannot be read ({error.strerror}). Check that it is a text file you may read."
        ) from error
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise LabError(
            f"{path}, line {line}: this is not valid YAML. Check the indentation, colons and quotes there."
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise LabError(f"{path}, line {line}: a control character is in it. Type it again by hand.") from error
    except RecursionError as error:
        raise LabError(f"{path} is nested too deeply. Write it as `rig init` does.") from error
    document = _Document(path, text.splitlines())
    try:
        return (document.build(node, ()) if node else {}), document.lines
    except RecursionError as error:
        raise LabError(f"{path} is nested too deeply. Write it as `rig init` does.") from error


def line_of(path: Path, location: Location) -> int:
    """The line (from 1) on which an element of a YAML file stands."""
    _, lines = parse(path)
    return lines.get(without_tags(tuple(map(str, location)), lines) or (), 1)


class _Document:
    """A file that is being turned into text, lists and dicts; `lines` tells where each element stands."""

    def __init__(self, path: Path, text: list[str]) -> None:
        self.lines: Lines = {}
        self._path, self._text = path, text
        self._values = 0
        self._most_values = int(read_limit("RIG_MAX_YAML_ELEMENTS", MAX_VALUES))
        self._most_levels = int(read_limit("RIG_MAX_YAML_LEVELS", MAX_LEVELS))

    def build(self, node: yaml.Node, at: Location) -> Any:
        """Turn a node, and all below it, into plain data."""
        line = node.start_mark.line + 1
        self.lines.setdefault(at, line)
        self._values += 1
        if self._values > self._most_values:
            raise LabError(
                f"{self._path}, line {line}: this stands for more than {self._most_values:,} values. Write it out, "
                "without * and &, or set RIG_MAX_YAML_ELEMENTS."
            )
        if len(at) > self._most_levels:
            raise LabError(
                f"{self._path}, line {line}: this is nested in more than {self._most_levels:,} levels, or a * stands "
                "for what it is in. Write it as `rig init` does, or set RIG_MAX_YAML_LEVELS."
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*at, number)) for number, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in mapping:
                first = self.lines[(*at, key)]
                raise LabError(
                    f"{self._path}, line {line}: {key!r} stands here and on line {first}. Keep one of the two."
                )
            self.lines[(*at, key)] = line
            mapping[key] = self.build(value_node, (*at, key))
        return mapping

    def _scalar(self, node: yaml.Node) -> str | None:
        value, line = str(node.value), node.start_mark.line + 1
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise LabError(f"{self._path}, line {line}: half of a letter (a lone surrogate). Type it again by hand.")
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            end = node.end_mark
            rest = self._text[end.line][end.column :].lstrip() if end.line < len(self._text) else ""
            if value and len(rest) > 1 and rest[0] == "#" and not rest[1].isspace():
                raise LabError(
                    f"{self._path}, line {line}: from {rest[:20]!r} on this is a comment. If it belongs to the value, "
                    f'put all of it in quotes ("{value} {rest[:20]}"); if not, leave a space after the #.'
                )
            if value in EMPTY:
                return None
        return value


def _kind(data: Any) -> str:
    return {list: "a list", str: "bare text", type(None): "nothing"}.get(type(data), "something else")
