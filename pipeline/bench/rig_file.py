"""rig.yaml as the page changes it: one value at a time, and all else, comments too, stays as it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from calibration.durable_files import hash_bytes, write_atomically
from pipeline.documents import parse, read_document
from pipeline.errors import LabError
from pipeline.lab import Lab, RigConfig

Value = str | float | Mapping[str, Any]
"""A value of rig.yaml; a mapping is written on one line."""

Changes = Mapping[tuple[str, ...], Value | None]
"""New values by their keys, such as ``("station", "arm", "port")``; None takes the key out."""


@dataclass(frozen=True)
class RigFile:
    """What a rig.yaml says; ``digest`` is that of its bytes, ``values`` are its own as text."""

    values: Mapping[str, Any]
    digest: str


def read_rig_file(lab: Lab) -> RigFile:
    """Read the rig.yaml of a lab as it is now.

    Raises
    ------
    LabError
        If it cannot be read.
    """
    values, _ = parse(_path(lab))
    return RigFile(values if isinstance(values, dict) else {}, hash_bytes(_path(lab).read_bytes()))


def change_rig_file(lab: Lab, changes: Changes, digest: str) -> Path:
    """Write new values into the rig.yaml of a lab, and return where the former file is kept.

    Parameters
    ----------
    digest
        Of the file as whoever changes it has seen it.

    Raises
    ------
    LabError
        If it was changed meanwhile, is written in a way that cannot be changed here, or the result would be wrong;
        nothing is written then.
    """
    path = _path(lab)
    before = path.read_bytes()
    if hash_bytes(before) != digest:
        raise LabError(f"{path} was changed meanwhile. Nothing was written: load the page again.")
    text = before.decode("utf-8")
    expected = parse(path)[0] or {}
    for keys, value in changes.items():
        text, expected = _changed_text(text, keys, value), _changed(expected, keys, value)
    draft = path.with_name(".rig.yaml.draft")
    draft.write_text(text, "utf-8")
    try:
        if (parse(draft)[0] or {}) != expected:
            raise LabError(f"{path} is written in a way that cannot be changed here. Change it in an editor.")
        read_document(draft, RigConfig)
    except LabError as error:
        raise LabError(str(error).replace(str(draft), str(path)) + " Nothing was written.") from error
    finally:
        draft.unlink(missing_ok=True)
    former = path.with_name(f"rig.yaml.{datetime.now():%Y%m%d-%H%M%S}")
    write_atomically(former, before)
    write_atomically(path, text)
    return former


def _path(lab: Lab) -> Path:
    return lab.folder / "rig.yaml"


def _changed(values: Any, keys: tuple[str, ...], value: Value | None) -> dict[str, Any]:
    """The values, as text, that a file has to have after a change."""
    first, *rest = keys
    changed = dict(values) if isinstance(values, dict) else {}
    if rest:
        changed[first] = _changed(changed.get(first), tuple(rest), value)
    elif value is None:
        changed.pop(first, None)
    else:
        changed[first] = _as_text(value)
    return changed


def _as_text(value: Value) -> Any:
    return {key: _as_text(each) for key, each in value.items()} if isinstance(value, Mapping) else _scalar(value)


def _scalar(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _changed_text(text: str, keys: tuple[str, ...], value: Value | None) -> str:
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    if not isinstance(root, yaml.MappingNode):
        return text + ("" if value is None else _nested(keys, value))
    node, depth = root, 0
    while True:
        found = next((pair for pair in node.value if pair[0].value == keys[depth]), None)
        if found is None:
            return text if value is None else _added(text, node, keys[depth:], value)
        key, inner = found
        if depth + 1 == len(keys):
            return _without(text, key, inner) if value is None else _replaced(text, inner, value)
        if not isinstance(inner, yaml.MappingNode):
            return _replaced(text, inner, _wrapped(keys[depth + 1 :], value)) if value is not None else text
        node, depth = inner, depth + 1


def _wrapped(keys: tuple[str, ...], value: Value) -> Value:
    for key in reversed(keys):
        value = {key: value}
    return value


def _end(node: yaml.Node) -> int:
    """Where a node's own text ends: comments that follow a block are not its."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _replaced(text: str, node: yaml.Node, value: Value) -> str:
    head, tail = text[: node.start_mark.index], text[_end(node) :]
    if head.rstrip().endswith(":"):  # a block begins below its key
        head = head.rstrip() + " "
    return head + _flow(value) + tail


def _added(text: str, node: yaml.MappingNode, keys: tuple[str, ...], value: Value) -> str:
    start = node.start_mark.index
    entry = f"{keys[0]}: {_flow(_wrapped(keys[1:], value))}"
    if node.flow_style:
        return f"{text[: start + 1]}{entry}{', ' if node.value else ''}{text[start + 1 :]}"
    return text[:start] + entry + "\n" + " " * node.start_mark.column + text[start:]


def _without(text: str, key: yaml.Node, value: yaml.Node) -> str:
    _, _, tail = text[_end(value) :].partition("\n")
    return text[: key.start_mark.index] + tail


def _nested(keys: tuple[str, ...], value: Value) -> str:
    return f"\n{keys[0]}: {_flow(_wrapped(keys[1:], value))}\n"


def _flow(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and not value.isalnum() else _scalar(value)
