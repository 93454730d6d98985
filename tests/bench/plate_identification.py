"""Whether a scanned coin is found in a catalogue that shows it on a halftone plate alone: docs/results.md.

    RIG_SHARED=shared python -m tests.bench.plate_identification --folder /tmp/plates [--coins 60] [--seed 1]

All 579 Roman coins stand, both sides, on screened pages that `rig catalogue add` has cut out; some of them are scanned
in the twin, and each is searched for with its entry in the catalogue and without. What is there is not made again: the
command can be interrupted, and continues. `--queries` limits how many coins are searched for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from capture.store import Store
from capture.store.records import Frame
from pipeline.collection.identify import Identifier, scanned_views
from pipeline.commands.terminal.output import reporter
from pipeline.lab import IN_USE, open_lab
from tests.bench.catalogue_answers import answer_each, report
from tests.bench.catalogue_plates import PERIODS, SHARED, roman_coin
from tests.pipeline.collection.period_pages import make_period_page
from tests.pipeline.collection.plate_pages import overlap

PLAN = (
    "sides: [obverse, reverse]\nlights: [az000, az060, az120, az180, az240, az300]\nturntable_deg: [0]\ntilt_deg: [0]\n"
)
TRAY = 20


def main() -> None:
    """Make what is not there yet; then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--coins", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--among", type=int, help="how many coins are on the plates; all, if not given")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    paths = sorted((SHARED / "data" / "toulouse").rglob("*.jpg"))[: options.among]
    # not as the pages are laid out, or all of them would stand on the first
    drawn = np.random.default_rng([options.seed, 1]).permutation(len(paths))[: options.coins]
    make_catalogue(options.folder, paths, options.seed)
    scan_coins(options.folder, [paths[n] for n in sorted(drawn)])
    answer(options.folder, options.queries)
    report("scans of both sides", options.folder / "answers.jsonl")


def run_rig(*arguments: object) -> Any:
    """Run the command, and read what it prints with --json."""
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, arguments), "--json"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if ran.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(map(str, arguments))}: {ran.returncode}")
    return json.loads(ran.stdout)


def make_catalogue(folder: Path, paths: list[Path], seed: int) -> None:
    """Pages of all coins, added and built; `names.json` says which coin each name of the catalogue is."""
    lab, pages = folder / "sale", folder / "pages"
    if (folder / "names.json").is_file():
        return
    pages.mkdir(exist_ok=True)
    order = [paths[n] for n in np.random.default_rng(seed).permutation(len(paths))]
    truth: dict[str, list[Any]] = {}
    start = number = 0
    while start < len(order):
        rng = np.random.default_rng([seed, number])
        period = replace(PERIODS["halftone"](rng), number="", mm=(18, 26), manner="photograph")
        page_coins = order[start : start + period.columns * period.rows]
        name = f"{number:03}.png"
        if not (pages / name).is_file() or not (pages / f"{name}.json").is_file():
            page = make_period_page(period, [roman_coin(path) for path in page_coins], number)
            Image.fromarray(page.image).save(pages / name)
            there = [(p.stem, c.obverse, c.reverse) for p, c in zip(page_coins, page.coins, strict=True)]
            (pages / f"{name}.json").write_text(json.dumps(there))
        truth[name] = json.loads((pages / f"{name}.json").read_text())
        start, number = start + len(page_coins), number + 1
        print(f"page {number}: {start} of {len(order)} coins", flush=True)
    if not lab.exists():
        run_rig("init", "--collection", "--lab", lab)
    added = run_rig("catalogue", "add", pages, "--pages", "--sale", "Plates", "--lab", lab)
    run_rig("catalogue", "check", "--accept-all", "--lab", lab)
    names: dict[str, str] = {}
    with Store.open(lab / "store", writing=False) as store:
        for entry in store.catalogue.entries():
            for name, *sides in truth[entry.source]:
                box: Any = entry.box
                if box and overlap(sides[entry.side == "reverse"], box) > 0.5:
                    names[entry.coin_id] = name
    print(f"{added}; {len(set(names.values()))} of {len(order)} coins have a name", flush=True)
    (folder / "names.json").write_text(json.dumps(names))


def scan_coins(folder: Path, paths: list[Path]) -> None:
    """A twin's lab of these coins, every tray scanned and none identified."""
    lab, photographs = folder / "twin", folder / "photographs"
    if not lab.exists():
        photographs.mkdir(exist_ok=True)
        for path in paths:
            (photographs / path.name).symlink_to(path.resolve())
        run_rig("init", "--coins", photographs, "--tray-size", TRAY, "--lab", lab)
        (lab / "plans" / "default.yaml").write_text(PLAN)
        run_rig("calibrate", "--lab", lab)
    for tray in range(1, -(-len(paths) // TRAY) + 1):
        if not (folder / f"tray-{tray}").is_file():
            run_rig("scan", "--tray", tray, "--no-identify", "--lab", lab)
            (folder / f"tray-{tray}").touch()


def answer(folder: Path, most: int | None) -> None:
    """Search for each scanned coin."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sale, twin = open_lab(folder / "sale"), open_lab(folder / "twin")
    name_of = {coin: name for name, coin in json.loads((folder / "names.json").read_text()).items()}
    identifier = Identifier.open(sale, IN_USE, reporter)
    with Store.open(twin.store, writing=False) as store:
        frames: dict[str, list[Frame]] = {}
        for session in store.sessions.find("scan"):
            for frame in store.frames.find(session.id):
                frames.setdefault(frame.coin_id, []).append(frame)
        queries = (
            (coin, name_of.get(coin), partial(scanned_views, twin, store, frames[coin]))
            for coin in islice(sorted(frames), most)
        )
        answer_each(identifier, queries, folder / "answers.jsonl")


if __name__ == "__main__":
    main()
