"""Names given in the code: the project's words (`make words` has those for text, too), and one class to a name."""

from __future__ import annotations

import ast
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


WORD = re.compile("|".join(rf"(?<![a-zA-Z]){word}(?![a-z])|{word.capitalize()}(?![a-z])" for word in INSTEAD))


def _sources(*folders: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def _names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a module names: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower())


def test_names_use_the_words_of_the_project() -> None:
    found = [
        f"{path}:{line}: {name} ==> {INSTEAD[word]}"
        for path, source in _sources(*PACKAGES, "tests")
        if WORD.search(source)  # anywhere, also in its comments: most modules need not be parsed
        for line, name in _names(source)
        if not name.startswith("test_")
        for word in _words(name)
        if word in INSTEAD
    ]
    assert not found, "\n".join(found)


def test_no_two_classes_share_a_name() -> None:
    paths = defaultdict(list)
    for path, source in _sources(*PACKAGES):
        for name in re.findall(r"^class ([A-Za-z]\w*)", source, re.MULTILINE):
            paths[name].append(path)
    shared = {name: where for name, where in paths.items() if len(where) > 1}
    assert not shared
