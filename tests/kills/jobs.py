"""The commands that are killed: how a lab is brought to where one has work to do, and what must be so when it ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from calibration.bundle import load
from capture.store import Store
from tests.capture.store.old_store import unpack
from tests.kills.check import check_scans, count_rows
from tests.kills.processes import KILLED, Kill, run

SCAN = ("scan", "--tray", 1, "--no-identify")
CATALOGUE_IMAGES = 12  # of the coins of both trays, both sides


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes
    ----------
    args
        What is run, and run again.
    share
        Of all kills.
    prepare
        Brings a fresh lab to where the command has something to do.
    check
        What must be so after the command has ended, beside what `check_lab` asks of every lab.
    done
        The line of the journal that says that nothing is left to do: after it, the command would start over.
    """

    args: tuple[object, ...]
    share: float
    prepare: Callable[[Path], None]
    check: Callable[[Path], None]
    done: str | None = None

    def is_done(self, lab: Path) -> bool:
        """Whether a run that was killed had nothing left to do."""
        lines = (lab / "store" / "records" / "journal").glob("*.jsonl")  # the index is left as the kill left it
        return self.done is not None and any(f'"kind":"{self.done}"' in each.read_text() for each in lines)


def _ready(lab: Path) -> None:
    """It is calibrated already."""


def _scanned(lab: Path) -> None:
    ran = run(lab, *SCAN)
    assert ran.code == 0, ran.err


def _scanned_and_wasted(lab: Path) -> None:
    """Tray 1 is scanned, and there are leftovers, a former index, and a scan of tray 2 to resume."""
    _scanned(lab)
    for number in (10, 15):
        ran = run(lab, "scan", "--tray", 2, "--no-identify", kill=Kill("rename store/files", number, after=True))
        assert ran.code == KILLED
    ran = run(lab, "store", "rebuild")
    assert ran.code == 0, ran.err


def _with_photographs(lab: Path) -> None:
    """New photographs wait in the lab's own folder."""
    shutil.copytree(yaml.safe_load((lab / "rig.yaml").read_text())["twin"]["coins"], lab / "photographs")


def _with_images_to_embed(lab: Path) -> None:
    """Photographs were added, and are not embedded yet."""
    _with_photographs(lab)
    ran = run(lab, "catalogue", "add", lab / "photographs", "--sale", "photographed again")
    assert ran.code == 0, ran.err


def _of_an_earlier_version(lab: Path) -> None:
    """The store was written by version 0.1.0, and new photographs wait to be added."""
    shutil.rmtree(lab / "store")
    store = unpack("0.1.0", lab / "unpacked")
    (lab / "before.json").write_text(json.dumps(count_rows(store)))
    store.rename(lab / "store")
    _with_photographs(lab)


def _check_scan(lab: Path) -> None:
    check_scans(lab, "1")


def _check_batch(lab: Path) -> None:
    check_scans(lab, "1", "2")
    (report,) = (lab / "reports").glob("batch-*.html")
    page = report.read_text()
    assert page.rstrip().endswith("</html>")
    for tray in ("1", "2"):
        slots = yaml.safe_load((lab / "trays" / f"{tray}.yaml").read_text())["slots"]
        assert [coin for coin in slots.values() if str(coin) not in page] == []
    status = run(lab, "status", "--json")
    assert status.code == 0 and status.json, status.err


def _check_cleared(lab: Path) -> None:
    assert [path for path in (lab / "store" / "leftovers").rglob("*") if path.is_file()] == []
    _check_both(lab)


def _check_both(lab: Path) -> None:
    """The scan of tray 2 resumes, too."""
    ran = run(lab, "scan", "--tray", 2, "--no-identify")
    assert ran.code == 0, ran.err
    check_scans(lab, "1", "2")


def _check_calibrations(lab: Path) -> None:
    folders = list((lab / "calibrations").iterdir())
    assert len(folders) > 1
    for folder in folders:
        load(folder)


def _check_catalogue(lab: Path) -> None:
    with Store.open(lab / "store", writing=False) as store:
        added = [entry.source for entry in store.catalogue.entries() if entry.catalogue == "photographs"]
        assert len(added) == CATALOGUE_IMAGES


def _check_built(lab: Path) -> None:
    """Every image is searched, and nothing is left to embed."""
    ran = run(lab, "catalogue", "build", "--json")
    assert ran.code == 0 and ran.json["entries"] == 2 * CATALOGUE_IMAGES, ran.err
    assert "Embedding the catalogue" not in ran.err


def _check_migrated(lab: Path) -> None:
    _check_catalogue(lab)
    before, after = json.loads((lab / "before.json").read_text()), count_rows(lab / "store")
    for table in ("session", "shot", "frame", "event", "match", "embedding", "model", "calibration"):
        assert after[table] >= before[table] > 0, table
    assert after["entry"] == before["entry"] + CATALOGUE_IMAGES


JOBS = {
    "scan": Job(SCAN, 0.4, _ready, _check_scan, "scan report"),
    "batch": Job(("batch", "--trays", "1-2", "--no-identify"), 0.2, _ready, _check_batch, "batch report"),
    "report": Job(("report", "--tray", 1), 0.05, _scanned, _check_scan),
    "calibrate": Job(("calibrate",), 0.05, _ready, _check_calibrations),
    "catalogue add": Job(("catalogue", "add", "{lab}/photographs"), 0.05, _with_photographs, _check_catalogue),
    "catalogue build": Job(("catalogue", "build"), 0.05, _with_images_to_embed, _check_built),
    "migration": Job(("catalogue", "add", "{lab}/photographs"), 0.1, _of_an_earlier_version, _check_migrated),
    "store rebuild": Job(("store", "rebuild"), 0.05, _scanned_and_wasted, _check_both),
    "store gc": Job(("store", "gc", "--older-than-days", 0), 0.05, _scanned_and_wasted, _check_cleared),
}
