"""Names given in the code: the project's words (`make words` has those for text, too), and one class to a name."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("calibration", "capture", "models", "pipeline", "rig")
INSTEAD = {  # good English, but not for these things
    "tell": "report, ask or warn",
    "look": "check",
    "arrival": "coin check",
    "arrivals": "coin check",
    "handling": "transport",
}


def _modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), _parsed(path)


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _names(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a module names: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


@functools.cache
def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower())


def test_names_use_the_words_of_the_project() -> None:
    found = [
        f"{path}:{line}: {name} ==> {INSTEAD[word]}"
        for path, module in _modules(*PACKAGES, "tests")
        for line, name in _names(module)
        if not name.startswith("test_")
        for word in _words(name)
        if word in INSTEAD
    ]
    assert not found, "\n".join(found)


def test_no_two_classes_share_a_name() -> None:
    paths = defaultdict(list)
    for path, module in _modules(*PACKAGES):
        for node in module.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                paths[node.name].append(path)
    shared = {name: where for name, where in paths.items() if len(where) > 1}
    assert not shared
