"""`rig calibrate report`: a calibration judged by guidelines, in line with those before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from calibration.bundle import latest, numbered, save
from calibration.quality import QUALITY, read_quality
from tests.pipeline.conftest import Rig


def test_a_calibration_is_judged_value_by_value_and_in_line_with_earlier_ones(rig: Rig, lab: Path) -> None:
    bundle = latest(lab / "calibrations")
    assert bundle is not None
    before = read_quality(numbered(lab / "calibrations")[-1][1])
    worse = {**before, "ciede2000_mean": 5.2, "sampling_efficiency_percent": 65.0}
    save(replace(bundle, created_at=bundle.created_at + timedelta(days=30)), lab / "calibrations", worse)
    ran = rig("calibrate", "report", "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    values, trend = ran.json["values"], ran.json["trend"]
    assert {each["value"] is not None for each in values.values()} == {True}, "calibrating measures all of it"
    colour = {each["guideline"]: each for each in values["ciede2000_mean"]["verdicts"]}
    assert colour["FADGI 2023"]["verdict"] == "1 star" and colour["FADGI 2023"]["limit"] == 6.5
    assert colour["ISO 19264-1"]["verdict"] == "below level C" and "quoted by" in colour["ISO 19264-1"]["source"]
    assert values["mtf50"]["verdicts"] == [], "of which no limit was read"
    assert ran.json["grades"]["ISO 19264-1"] == "below level C", "by its worst value"
    assert [past["values"]["ciede2000_mean"] for past in trend] == [round(before["ciede2000_mean"], 5), 5.2]
    page = Path(ran.json["page"]).read_text()
    assert "below level C" in page and "[1]" in page and "not read" in page and page.count("<svg") == 1
    first = rig("calibrate", "report", "--bundle", "1", "--lab", lab)
    assert first.code == 0 and "first calibration" in next((lab / "reports").glob("imaging-1-*.html")).read_text()


def test_a_calibration_without_measurements_is_reported_with_what_is_missing(rig: Rig, lab: Path) -> None:
    folder = numbered(lab / "calibrations")[-1][1]
    for content in (None, b"\xff", b"- 1\n"):
        (folder / QUALITY).unlink() if content is None else (folder / QUALITY).write_bytes(content)
        ran = rig("calibrate", "report", "--lab", lab)
        assert ran.code == 0 and "not measured" in ran.out and "rig calibrate" in ran.err and "Traceback" not in ran.err
    assert rig("calibrate", "report", "--bundle", "9", "--lab", lab).code == 2
