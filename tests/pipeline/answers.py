"""What `rig --json` prints on a lab, without what differs from run to run, to be compared with what it printed before.

Times, ids, processes, folders and disk space become the names of what they are; sentences, which may be worded better,
count by being there; of a scan's probabilities, in which the twin's noise is, it counts whether they are above one half
(the verdict counts as it is; candidates of equal ones are in the order of their names), and of how its coins lie on the
catalogue's only by which keys. All else counts: keys and their order, types, values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from calibration.image import read_image
from tests.pipeline.conftest import SHORT_PLAN

REFERENCES = Path(__file__).parent / "answers"
SENTENCES = {"why", "message", "problem", "remedy", "error"}
VARYING = {"wall_s", "hardware_s", "time_s", "time_parts_s", "time_left_s", "free_bytes", "disk_bytes", "pid"}
NOISY = {"inliers", "matrix", "turn_deg", "likelihoods"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)")
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")

Run = Callable[..., str]  # arguments to standard output


def without_chance(answer: str, *folders: Path) -> str:
    """An answer in JSON without what differs from run to run; what is short is on one line."""
    for folder in folders:
        answer = answer.replace(str(folder), "FOLDER")
    document = json.loads(answer)
    return _lines(_plain(document, digits=0 if "coins" in document else 4)) + "\n"


def quick_answers(run: Run, made: Path, scanned: Path, photographs: Path, folder: Path) -> dict[str, str]:
    """Of a lab that is ready, and of one whose tray 1 was scanned as well; the latter's batch fails to find a coin."""
    obverse, reverse, text = (folder / name for name in ("photo.png", "reverse.png", "notes.txt"))
    image = cv2.cvtColor(read_image(sorted(photographs.glob("*.jpg"))[1]), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(obverse), image[:, : image.shape[1] // 2])
    cv2.imwrite(str(reverse), image[:, image.shape[1] // 2 :])
    text.write_text("no image")
    (scanned / "plans" / "short.yaml").write_text(SHORT_PLAN)
    document = (scanned / "rig.yaml").read_text()
    (scanned / "rig.yaml").write_text(document.replace("  seed:", "  contents: {'2': {2: null}}\n  seed:", 1))
    batch = ("batch", "--trays", "1-2", "--plan", "short")
    return {
        "status-nothing-yet": run("status", "--lab", made, "--json"),
        "scan-dry-run": run("scan", "--tray", 1, "--dry-run", "--lab", made, "--json"),
        "batch-dry-run": run("batch", "--trays", "1-2", "--dry-run", "--lab", made, "--json"),
        "status-scanned": run("status", "--lab", scanned, "--json"),
        "identify": run("identify", obverse, text, "--lab", scanned, "--json"),
        "identify-same-coin": run("identify", obverse, reverse, "--same-coin", "--top", 2, "--lab", scanned, "--json"),
        "batch": run(*batch[:2], "2", *batch[3:], "--lab", scanned, "--json"),
        "status-batch": run("status", "--lab", scanned, "--json"),
        "batch-dry-run-resumed": run(*batch, "--dry-run", "--lab", scanned, "--json"),
    }


def full_answers(run: Run, folder: Path) -> dict[str, str]:
    """Of the lab that `rig init` makes: its tray 3 scanned by the default plan, trays 1 and 2 in a short night."""
    lab = folder / "lab"
    answers = {
        "full-init": run("init", "--lab", lab, "--json"),
        "full-scan": run("scan", "--tray", 3, "--lab", lab, "--json"),
        "full-status": run("status", "--lab", lab, "--json"),
    }
    (lab / "plans" / "short.yaml").write_text(SHORT_PLAN)
    return answers | {"full-batch": run("batch", "--trays", "1-2", "--plan", "short", "--lab", lab, "--json")}


def _plain(value: Any, key: str = "", digits: int = 4) -> Any:
    if value is not None and key in VARYING:
        return type(value).__name__
    if digits == 0 and key in NOISY:
        return "NOISE"
    if isinstance(value, dict):
        return {name: _plain(item, name, digits) for name, item in value.items()}
    if isinstance(value, list):
        items = [_plain(item, key, digits) for item in value]
        return sorted(items, key=_by_probability) if digits == 0 and key == "candidates" else items
    if key == "probability":
        return round(value, digits)
    if isinstance(value, str):
        return "sentence" if key in SENTENCES else RUN_ID.sub("ID", TIME.sub("TIME", value))
    return value


def _by_probability(candidate: dict[str, Any]) -> tuple[float, str]:
    return -candidate["probability"], candidate["coin"]


def _lines(value: Any, indent: str = "") -> str:
    """JSON with objects of plain values on one line each, so that references are short and a difference is seen."""
    flat = json.dumps(value, ensure_ascii=False)
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if len(indent + flat) <= 120 or not items:
        return flat
    inner = indent + " "
    names = (
        [f"{json.dumps(name, ensure_ascii=False)}: " for name in value]
        if isinstance(value, dict)
        else [""] * len(items)
    )
    body = ",\n".join(f"{inner}{name}{_lines(item, inner)}" for name, item in zip(names, items, strict=True))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{body}\n{indent}{closing}"
