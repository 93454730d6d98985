"""Names in the code: functions are verbs, words are the project's, and no two classes share one."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("calibration", "capture", "models", "pipeline", "rig")
INSTEAD = {
    "tell": "report, ask or warn",
    "look": "check, coin check",
    "arrival": "coin check",
    "arrivals": "coin check",
    "handling": "transport",
}
ALLOWED = {"looks_like"}  # a key of --json and of the journal


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_identifiers_use_the_words_of_the_project() -> None:
    found = []
    for path in _sources(*PACKAGES, "tests"):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type != tokenize.NAME or token.string in ALLOWED or token.string.startswith("test_"):
                continue
            for word in re.findall(r"[A-Z]?[a-z]+", token.string):
                if word.lower() in INSTEAD:
                    where = f"{path.relative_to(ROOT)}:{token.start[0]}"
                    found.append(f"{where}: {token.string} ==> {INSTEAD[word.lower()]}")
    assert not found, "\n".join(found)


def test_no_two_classes_share_a_name() -> None:
    classes = defaultdict(list)
    for path in _sources(*PACKAGES):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in classes.items() if len(paths) > 1}
    assert not shared, shared
