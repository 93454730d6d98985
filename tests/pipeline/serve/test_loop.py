"""The loop end to end in the twin: what a person confirms on the page is what the next model learns from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import COINS, SHORT_PLAN, run_well
from tests.pipeline.serve.conftest import Served, serving
from tests.processes import run

WAIT_S = 1800  # for a round, however busy the machine is
QUICK = """\
backbone: mobilenet_v3_small
steps: 12
channels: 16
coins_per_batch: 4
save_every: 6
data: {procedural_coins: 0, fitting_coins: 4}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights"
    ),
]


def rows(lab: Path, version: int) -> list[dict[str, Any]]:
    return list(json.loads((lab / "datasets" / "loop" / f"v{version}" / "manifest.json").read_text())["frames"])


def confirm_best(page: Served, coin: dict[str, Any]) -> list[str]:
    """Confirm a coin's best candidate, as a person does; the entries."""
    item = page.get(f"/review/item?session={coin['session']}&coin={coin['coin']}").json()
    best = item["candidates"][0]
    sent = {"coin": coin["coin"], "entry": best["coin"], "decision": "same coin", "who": "Anna", "why": "the crack"}
    answer = page.post("/review/decide", sent)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def answers(page: Served) -> dict[str, dict[str, Any]]:
    """What the page shows of each coin."""
    queue = page.get("/review/queue?only=all").json()["items"]
    shown = (page.get(f"/review/item?session={item['session']}&coin={item['coin']}").json() for item in queue)
    return {item["coin"]: item for item in shown}


def probabilities(answer: dict[str, Any]) -> list[tuple[str, float]]:
    return [(each["coin"], each["probability"]) for each in answer["candidates"]]


def test_what_is_confirmed_is_learnt_from(made_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(Path(os.environ["RIG_SHARED"]) / "weights"))
    lab = Path(shutil.copytree(made_lab, tmp_path / "lab"))
    (lab / "plans" / "default.yaml").write_text(SHORT_PLAN)
    (tmp_path / "quick.yaml").write_text(QUICK)
    improve = ("models", "improve", "loop", "--recipe", tmp_path / "quick.yaml", "--lab", lab, "--json")
    for tray in (1, 2):  # on two occasions: what judges a model has to be photographed twice
        run_well("scan", "--tray", tray, "--no-identify", "--lab", lab)
        run_well("scan", "--tray", tray, "--fresh", "--lab", lab)
    run_well("dataset", "build", "loop", "--test", 0.34, "--validation", 0, "--lab", lab)
    with serving(lab) as page:
        assert "No model was judged yet" in page.get("/rounds").text
        assert run(*improve, timeout_s=WAIT_S).json["round"]["version"] == 1, "the model before anything was confirmed"
        queue = page.get("/review/queue?only=all").json()["items"]
        assert sorted(each["coin"] for each in queue) == sorted(COINS)
        confirmed = {entry for coin in queue for entry in confirm_best(page, coin)}
        assert page.get("/review/queue?only=decided").json()["total"] == len(COINS)
        before_model = answers(page)[COINS[0]]["model"]
        found = run(*improve, timeout_s=WAIT_S).json["round"]
        assert found["version"] == 2
        before, after = rows(lab, 1), rows(lab, 2)
        added = {row["frame"] for row in after} - {row["frame"] for row in before}
        assert added and added <= confirmed, "the catalogue's images of coins that train are new"
        assert {row["coin"] for row in after if row["frame"] in added} <= {
            row["coin"] for row in before if row["part"] == "train"
        }
        shown = page.get("/rounds").text
        assert found["after"]["model"] in shown and ("in use" if found["promoted"] else "refused") in shown
        coin = next(row["coin"] for row in after if row["frame"] in added)
        trains = [row for row in after if row["part"] == "train" and row["frame"] not in added]
        others = {row["frame"]: row["coin"] for row in trains if row["coin"] != coin}
        frame = next(row["frame"] for row in trains if row["coin"] == coin)
        right = next(iter(others.values()))
        run_well("label", right, "--frame", frame, "--by", "Ben", "--why", "it lay in the wrong slot", "--lab", lab)
        built = run_well("dataset", "build", "loop", "--lab", lab)
        assert "v3" in built.out + built.err
        third = {row["frame"]: row["coin"] for row in rows(lab, 3)}
        assert third.get(frame) == right, "a corrected label counts"
        assert {name: other for name, other in third.items() if name in others} == others, "and nothing else changed"

        model = found["after"]["model"]
        if not found["promoted"]:  # a refusal leaves the answer alone; then a person decides
            assert answers(page)[coin]["model"] == before_model
            run_well("models", "promote", model, "--force", "--lab", lab)
        former = answers(page)
        run_well("scan", "--tray", 1, "--fresh", "--lab", lab)
        latest = answers(page)
        scanned = {name for name in COINS if former[name]["session"] != latest[name]["session"]}
        assert len(scanned) == 3, "tray 1"
        for name in scanned:
            assert latest[name]["model"] != former[name]["model"] == before_model
            assert probabilities(latest[name]) != probabilities(former[name]), "the next scan's answer"
            assert any(each["opinions"] for each in latest[name]["candidates"]), "what was decided stands beside it"
