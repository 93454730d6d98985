"""Reading the lab's YAML files: validated, with the line and the remedy in every error.

Scalars are read as text and converted by the models, so that accession number ``2024.10`` never becomes
the float 2024.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import LabError
from pipeline.validation import Lines, Location, describe, without_tags

Model = TypeVar("Model", bound=BaseModel)

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
            f"{path}, line {line}: this is not valid YAML ({error.problem}). "
            "Check the indentation, colons and quotes there."
        ) from error
    except yaml.YAMLError as error:
        raise LabError(f"{path} is not valid YAML ({error}). Save it as plain UTF-8 text.") from error
    lines: Lines = {}
    return (_build(node, (), lines, path) if node else {}), lines


def line_of(path: Path, location: Location) -> int:
    """The line (from 1) on which an element of a YAML file stands."""
    _, lines = parse(path)
    return lines.get(without_tags(tuple(map(str, location)), lines) or (), 1)


def _build(node: yaml.Node, at: Location, lines: Lines, path: Path) -> Any:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in mapping:
                raise LabError(
                    f"{path}, line {line}: {key!r} stands here and on line {lines[(*at, key)]}. Keep one of the two."
                )
            lines[(*at, key)] = line
            mapping[key] = _build(value_node, (*at, key), lines, path)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*at, i), lines, path) for i, item in enumerate(node.value)]
    is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if is_plain and node.value in EMPTY else node.value


def _kind(data: Any) -> str:
    return {list: "a list", str: "bare text", type(None): "nothing"}.get(type(data), "something else")
