"""Whether a real ancient coin is recognised under other light, by one photograph of one side: docs/results.md.

    RIG_SHARED=shared python -m tests.bench.gold_coin --folder /tmp/gold [--seed 1]

The catalogue holds 1,158 photographs of Roman coins and one of the gold coin that was measured by RTI, rendered under a
lamp at the upper left. It is searched for by photographs under twelve other lamps, each turned, a little askew,
blurred, noisy and tinted, with its entry and without.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from calibration.every_coin import find_one_coin
from calibration.image import read_image
from capture.store import Store
from models.matching.views import View
from pipeline.collection.identify import Identifier
from pipeline.commands.terminal.output import reporter
from pipeline.lab import IN_USE, open_lab
from pipeline.learning.rti import read_planes, under_lamp
from rig.twin.coins.surface import as_array
from tests.bench.catalogue_answers import answer_each, report
from tests.bench.catalogue_plates import SHARED
from tests.bench.photographed_later import developed
from tests.bench.plate_identification import run_rig

COIN = "gold"
ENTRY_LAMP_DEG, ENTRY_ELEVATION_DEG = 135.0, 40.0
LAMPS_DEG, ELEVATIONS_DEG = (0.0, 60.0, 135.0, 200.0, 270.0, 320.0), (30.0, 55.0)


def main() -> None:
    """Make what is not there yet; then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    lab_folder, entries, queries = (options.folder / name for name in ("sale", "entry", "again"))
    planes, material = read_planes(SHARED / "data" / "rti_gold_coin")
    for folder in (entries, queries):
        folder.mkdir(parents=True, exist_ok=True)
    entry = under_lamp(planes, material, ENTRY_LAMP_DEG, ENTRY_ELEVATION_DEG)
    PillowImage.fromarray(entry).save(entries / f"{COIN}_obv.jpg", quality=90)
    asked = []
    for number, (lamp_deg, elevation_deg) in enumerate(product(LAMPS_DEG, ELEVATIONS_DEG)):
        light = as_array(under_lamp(planes, material, lamp_deg, elevation_deg) / 255.0) ** np.float32(2.2)
        path = queries / f"lamp-{lamp_deg:.0f}-{elevation_deg:.0f}.jpg"
        again = developed(as_array(light), np.random.default_rng([options.seed, number]))
        PillowImage.fromarray(again).save(path, quality=75)
        asked.append(path)
    if not lab_folder.exists():
        run_rig("init", "--collection", "--lab", lab_folder)
    run_rig("catalogue", "add", SHARED / "data" / "toulouse", "--sale", "Roman", "--lab", lab_folder)
    run_rig("catalogue", "add", entries, "--sale", "RTI", "--lab", lab_folder)
    lab = open_lab(lab_folder)
    with Store.open(lab.store, writing=False) as store:
        (own,) = {entry.coin_id for entry in store.catalogue.entries(sale="RTI")}
    identifier = Identifier.open(lab, IN_USE, reporter)
    kept = options.folder / "answers.jsonl"
    answer_each(identifier, [(path.stem, own, partial(read_view, path)) for path in asked], kept)
    report("one photograph of one side", kept)


def read_view(path: Path) -> list[View]:
    """The photograph, as `rig identify` sees it."""
    return [View(find_one_coin(read_image(path)).crop())]


if __name__ == "__main__":
    main()
