"""What a scan does with a calibration: good, missing, expired, of another camera; and what frames then carry."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calibration.bundle import Bundle, latest, save
from capture.store import Store
from tests.pipeline.conftest import Rig, Scanned


def replace_bundle(lab: Path, **changes: object) -> Bundle:
    """Another bundle in place of the lab's one."""
    bundle = latest(lab / "calibrations")
    assert bundle is not None
    shutil.rmtree(lab / "calibrations")
    changed = replace(bundle, **changes)  # type: ignore[arg-type]
    save(changed, lab / "calibrations")
    return changed


def long_ago(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)


def qualities(lab: Path) -> list[dict[str, object]]:
    with Store.open(lab / "store", writing=False) as store:
        return [{**frame.quality, "id": frame.calibration_id} for frame in store.frames.select((), (), (), ())]


@pytest.mark.parametrize("flaw", ["expired", pytest.param("of another camera", marks=pytest.mark.slow)])
def test_a_calibration_that_does_not_hold_stops_a_scan_and_names_the_remedy(
    rig: Rig, tiny_lab: Path, flaw: str
) -> None:
    changes = {"created_at": long_ago(91)} if flaw == "expired" else {"camera": "opencv usb-Other 640x480"}
    bundle = replace_bundle(tiny_lab, **changes)
    refused = rig("scan", "--tray", 1, "--no-identify", "--lab", tiny_lab)
    assert refused.code == 1 and flaw in refused.err and "rig calibrate" in refused.err, refused.err
    assert "Nothing has moved" in refused.err and bundle.id in refused.err


@pytest.mark.slow
@pytest.mark.parametrize("flaw", ["expired", "of another camera", "unreadable"])
def test_with_leave_it_scans_and_marks_every_frame(rig: Rig, tiny_lab: Path, flaw: str) -> None:
    if flaw == "unreadable":
        (next((tiny_lab / "calibrations").iterdir()) / "flats.npz").write_bytes(b"no")
    else:
        changes = {"created_at": long_ago(91)} if flaw == "expired" else {"camera": "opencv usb-Other 640x480"}
        replace_bundle(tiny_lab, **changes)
    ran = rig("scan", "--tray", 1, "--no-identify", "--allow-uncalibrated", "--lab", tiny_lab)
    assert ran.code == 0 and "marked as uncalibrated" in ran.err, ran.err
    frames = qualities(tiny_lab)
    assert len(frames) == 2 and all(str(each["uncalibrated"]) for each in frames)
    for each in frames:  # an expired one is applied all the same
        assert (each["id"] is not None) == ("applied" in each) == (flaw == "expired")


def test_frames_carry_what_was_applied(scanned: Scanned) -> None:
    for frame in qualities(scanned.lab):
        assert {"lens", "flat"} <= set(frame["applied"])  # type: ignore[call-overload]
        assert "uncalibrated" not in frame
