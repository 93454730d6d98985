"""What is wrong with a file, in plain words: pydantic's errors as a colleague would put them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, core_schema

from pipeline.wording import count

Location = tuple[str | int, ...]
Lines = dict[Location, int]

MAPPING = "`key: value` lines are expected here."
UNIT = " without a unit: the unit is in the key's name."
# Type of error: what is wrong, and what to do. `{value}` is what the file has; the rest comes from the error's context.
MESSAGES = {
    "missing": ("this key is missing.", "Add it."),
    "int_parsing": ("{value} is not a whole number.", "Give one," + UNIT),
    "int_type": ("{value} is not a whole number.", "Give one," + UNIT),
    "int_from_float": ("{value} is not a whole number.", "Give one," + UNIT),
    "float_parsing": ("{value} is not a number.", "Give one," + UNIT),
    "float_type": ("{value} is not a number.", "Give one," + UNIT),
    "finite_number": ("{value} is not a finite number.", "Give one," + UNIT),
    "bool_parsing": ("{value} is neither true nor false.", "Give one of them."),
    "bool_type": ("{value} is neither true nor false.", "Give one of them."),
    "string_type": ("{value} stands where text is expected.", "Give text."),
    "string_too_short": ("this is empty.", "Give text."),
    "greater_than": ("{value} is too small.", "It must be above {gt}."),
    "greater_than_equal": ("{value} is too small.", "It must be at least {ge}."),
    "less_than": ("{value} is too large.", "It must be below {lt}."),
    "less_than_equal": ("{value} is too large.", "It must be at most {le}."),
    "multiple_of": ("{value} does not fit.", "It must be a multiple of {multiple_of}."),
    "too_short": ("too few values.", "At least {min_length} expected."),
    "too_long": ("too many values.", "At most {max_length} expected."),
    "union_tag_not_found": ("the key `kind` is missing here.", "Add it."),
}
LISTS = {"tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"}
MESSAGES |= dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "dataclass_type"), (MAPPING, ""))
OURS = {"value_error", "assertion_error"}  # raised by validators of this project, in their own words
LIBRARY = frozenset(get_args(core_schema.ErrorType))  # what has another type is in our words, too


def describe(path: Path, errors: Sequence[ErrorDetails], lines: Lines, model: type[BaseModel]) -> str:
    """The first error in one paragraph: file, line, key, what is wrong, what to do; and how many more there are.

    Parameters
    ----------
    errors
        As `ValidationError.errors` gives them.
    lines
        On which line (from 1) each element of the file stands.
    model
        What the file was to be read into.
    """
    # An unknown key explains the missing one beside it, so it is reported first.
    error = min(errors, key=lambda each: each["type"] != "extra_forbidden")
    where = _location(error)
    key = ".".join(_key_names(error, where, lines))
    problem = _problem(error, where, model)
    # The types that a value may have are complained of one by one: that is one problem.
    others = {without_tags(_location(each), lines) for each in errors} - {without_tags(where, lines)}
    first = min((lines.get(other, 1) for other in others), default=0)
    more = f" ({count(len(others), 'more problem')} in this file, first on line {first}.)" if others else ""
    return f"{path}, line {_line(where, lines)}: {key + ': ' if key else ''}{problem}{more}"


def without_tags(where: Location, lines: Lines) -> Location:
    """The part of a location that stands in the file: pydantic's holds the tags of unions as well."""
    kept: Location = ()
    for part in where:
        if (*kept, part) in lines:
            kept = (*kept, part)
    return kept


def _location(error: ErrorDetails) -> Location:
    # A validator of a whole mapping says in its context which key is wrong.
    key = error.get("ctx", {}).get("key")
    return error["loc"] if key is None else (*error["loc"], str(key))


def _key_names(error: ErrorDetails, where: Location, lines: Lines) -> list[str]:
    """The keys to name: those that stand in the file, and one that is missing there. Items of lists have none."""
    found = without_tags(where, lines)
    missing = where[-1:] if error["type"] == "missing" else ()
    return [part for part in (*found, *missing) if isinstance(part, str)]


def _line(where: Location, lines: Lines) -> int:
    return lines.get(without_tags(where, lines), 1)


def _problem(error: ErrorDetails, where: Location, model: type[BaseModel]) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), _shown(error["input"])
    if kind == "missing" and isinstance(where[-1], int):
        return "too few values in this list."
    if kind == "union_tag_not_found" and not isinstance(error["input"], dict):
        return MAPPING
    if kind in LISTS:
        return f"a list is expected here, such as {_as_list(error['input'])}."
    if kind == "extra_forbidden":
        return _unknown_key(str(where[-1]), where[:-1], model)
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        known = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags")))
        given = str(context.get("tag", error["input"]))
        what = "kind: " if kind == "union_tag_invalid" else ""
        return f"{what}{given!r} is not known. {_choose(given, known)}"
    if kind in MESSAGES:
        problem, remedy = MESSAGES[kind]
        return f"{problem} {remedy}".strip().format(value=value, **context)
    if kind in OURS or kind not in LIBRARY:
        message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        is_named = context.get("key") is not None or isinstance(error["input"], dict | list | tuple)
        message = message if is_named or value in message else f"{value}: {message}"
        return message if message.endswith((".", "?", "!")) else message + "."
    return f"{value} does not fit here. docs/lab.md shows what does."


def _unknown_key(key: str, at: Location, model: type[BaseModel]) -> str:
    allowed = sorted({name for each in _models_at(model, at) for name in _keys(each)})
    if key not in allowed and key in _all_keys(model):
        return f"this key does not belong here. {_choose(key, allowed)}"
    return f"this key is not known. {_choose(key, allowed) if allowed else 'Remove it.'}"


def _choose(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, 1, 0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"It can be {', '.join(known[:-1])} or {known[-1]}." if len(known) > 1 else f"It can be {known[0]}."


def _as_list(value: Any) -> str:
    return f"[{value}]" if isinstance(value, str | int | float) else "[1, 2]"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else repr(value)


def _models_at(model: type[BaseModel], where: Location) -> list[type[BaseModel]]:
    """The models that may stand at a place of the file, narrowed by the tags in its location."""
    found: list[Any] = [model]
    for part in where:
        models = [each for each in found if _is_model(each)]
        inner = [_field(each, str(part)) for each in models if str(part) in _keys(each)]
        tagged = [each for each in models if part in _tags(each)]
        if inner:
            found = [leaf for annotation in inner for leaf in _leaves(annotation)]
        elif tagged:
            found = tagged
    return [each for each in found if _is_model(each)]


def _is_model(each: Any) -> bool:
    return isinstance(each, type) and issubclass(each, BaseModel)


def _keys(model: type[BaseModel]) -> Iterable[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], key: str) -> Any:
    return next(f.annotation for name, f in model.model_fields.items() if (f.alias or name) == key)


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """The values of `kind` that a model of a union stands for."""
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind is not None else ()


def _leaves(annotation: Any) -> list[Any]:
    arguments = [each for each in get_args(annotation) if not isinstance(each, str)]
    return [leaf for each in arguments for leaf in _leaves(each)] if arguments else [annotation]


def _all_keys(model: type[BaseModel]) -> set[str]:
    """Every key that may stand somewhere in the file."""
    keys: set[str] = set()
    waiting, seen = [model], {model}
    while waiting:
        each = waiting.pop()
        keys.update(_keys(each))
        inner = {leaf for f in each.model_fields.values() for leaf in _leaves(f.annotation) if _is_model(leaf)} - seen
        seen |= inner
        waiting += inner
    return keys
