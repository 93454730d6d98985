"""Reading the lab's YAML files: validated, with the line and the remedy in every error.

Scalars are read as text and converted by the models, so that accession number ``2024.10`` never becomes
the float 2024.1.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import LabError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]
Lines = dict[Location, int]

EMPTY = frozenset({"", "~", "null", "Null", "NULL"})
REMEDIES = {
    "missing": "Add it.",
    "extra_forbidden": "Remove it.",
    "int_parsing": "Give a whole number, without a unit: the unit is in the key's name.",
    "float_parsing": "Give a number, without a unit: the unit is in the key's name.",
    "bool_parsing": "Give true or false.",
}


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
        raise LabError(_complaint(path, error.errors(), lines, model)) from error


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
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} cannot be read: {error}. Check that it is a text file you may read.") from error
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
    return lines.get(_without_tags(tuple(map(str, location)), lines) or (), 1)


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


def _complaint(path: Path, errors: list[ErrorDetails], lines: Lines, model: type[BaseModel]) -> str:
    # An unknown key explains the missing one beside it, so it is reported first.
    error = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    # A validator of a whole mapping says in its context which key is wrong.
    key_within = error.get("ctx", {}).get("key")
    where: Location = error["loc"] if key_within is None else (*error["loc"], str(key_within))
    known = where
    while known and known not in lines:
        known = known[:-1]
    # Tags of discriminated unions stand in pydantic's location but not in the file.
    keys = [str(part) for part in where if not _is_tag(part, where, lines)]
    key = ".".join(keys)
    line = lines.get(_without_tags(where, lines), lines.get(known, 1))
    problem, remedy = error["msg"].removeprefix("Value error, "), REMEDIES.get(error["type"], "")
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(keys[-1], _field_names(model), 1, 0.6)
        problem = "this key is not known."
        remedy = f"Did you mean {close[0]!r}?" if close else remedy
    elif error["type"] == "missing":
        problem = "this key is missing."
    elif not isinstance(error["input"], dict | list | tuple) and key_within is None:
        problem = f"{error['input']!r}: {problem}"
    if not problem.endswith((".", "?", "!")):
        problem += "."
    more = (
        f" ({len(errors) - 1} more complaint{'s' if len(errors) > 2 else ''} in this file.)" if len(errors) > 1 else ""
    )
    return " ".join(f"{path}, line {line}: {key + ': ' if key else ''}{problem} {remedy}".split()) + more


def _without_tags(where: Location, lines: Lines) -> Location:
    kept: Location = ()
    for part in where:
        if (*kept, part) in lines:
            kept = (*kept, part)
    return kept


def _is_tag(part: str | int, where: Location, lines: Lines) -> bool:
    return part not in _without_tags(where, lines) and part != where[-1]


def _field_names(model: type[BaseModel]) -> list[str]:
    """Every key that may stand somewhere in the file, nested models included."""
    names: list[str] = []
    waiting: list[Any] = [model]
    seen: set[Any] = set()
    while waiting:
        item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, type) and issubclass(item, BaseModel):
            names += item.model_fields
            waiting += [field.annotation for field in item.model_fields.values()]
        else:
            waiting += [arg for arg in getattr(item, "__args__", ()) if not isinstance(arg, str)]
    return names


def _kind(data: Any) -> str:
    return {list: "a list", str: "bare text", type(None): "nothing"}.get(type(data), "something else")
