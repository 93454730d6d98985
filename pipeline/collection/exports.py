"""`rig catalogue export`: the catalogue in a folder, as tables, a IIIF manifest and linked data, with its images."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.durable_files import install_folder, make_folder, write_synced
from calibration.image import encode_jpeg
from capture.photographs import is_hidden
from capture.store import Store
from capture.store.lot_details import FIELDS
from capture.store.records import Entry
from pipeline.collection.decisions import Decisions
from pipeline.collection.linked_data import ExportedCoin, ExportedImage, as_linked_data, as_manifest
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter

_COLUMNS = ("sale", "coin", "side", "image", *FIELDS, "entry", "box", "source", "sha256")


@dataclass(frozen=True)
class ExportedCatalogue:
    """What `export_catalogue` wrote."""

    folder: Path
    sales: int
    coins: int
    entries: int

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"folder": str(self.folder), "sales": self.sales, "coins": self.coins, "entries": self.entries}


def export_catalogue(lab: Lab, folder: Path, sale: str | None, base: str, reporter: Reporter) -> ExportedCatalogue:
    """Write the catalogue, or a sale of it, into a folder that is new or empty.

    Parameters
    ----------
    base
        The address under which the folder will be found on the web: what images are called in manifest and linked data.

    Raises
    ------
    UsageError
        If the folder is not empty, or `base` is no address.
    LabError
        If there is no such sale, or an image is damaged.
    """
    if not base.startswith(("http://", "https://")):
        raise UsageError(f"--base-url {base} is no address: it does not begin with http:// or https://.")
    if folder.exists() and (not folder.is_dir() or any(not is_hidden(path) for path in folder.iterdir())):
        raise UsageError(f"{folder} is not empty. Name a new folder.")
    base = base if base.endswith("/") else f"{base}/"
    draft = folder.absolute().with_name(f".{folder.absolute().name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    with Store.open(lab.store, writing=False) as store:
        entries = store.catalogue.entries(sale=sale)
        if not entries:
            where = f"there is no sale {sale} in the catalogue" if sale else "the catalogue is empty"
            raise LabError(f"{where}: there is nothing to export. `rig catalogue list` lists the sales.")
        make_folder(draft / "images")
        with reporter.progress("Exporting") as progress:
            coins = _export_images(store, entries, draft, base, progress)
        same = _same_coins(store, coins)
    name = sale or f"Catalogue of {lab.folder.resolve().name}"
    documents: dict[str, str] = {
        "catalogue.csv": "\ufeff" + _as_csv(coins),
        "catalogue.json": _as_text({"records": [_row(coin, image) for coin in coins for image in coin.images]}),
        "manifest.json": _as_text(as_manifest(name, coins, base)),
        "nomisma.jsonld": _as_text(as_linked_data(coins, same, base)),
    }
    for file, text in documents.items():
        write_synced(draft / file, text.encode())
    if folder.exists():
        folder.rmdir()
    install_folder(draft, folder.absolute())
    return ExportedCatalogue(folder, len({coin.sale for coin in coins}), len(coins), len(entries))


def _export_images(store: Store, entries: Sequence[Entry], draft: Path, base: str, progress: Any) -> list[ExportedCoin]:
    """Write each image once, as it was added; a side that is part of a page is cut out beside it."""
    coins: dict[tuple[str, str], list[ExportedImage]] = {}
    first: dict[tuple[str, str], Entry] = {}
    for number, entry in enumerate(entries):
        progress(number, len(entries))
        image = entry.cut(store.image(entry.sha256))
        kept = store.path(entry.sha256)
        if entry.box is None and kept.suffix in (".jpg", ".png", ".webp"):
            name = f"images/{entry.sha256[:16]}{kept.suffix}"
            shutil.copyfile(kept, draft / name)
        else:
            box = "" if entry.box is None else "-" + "-".join(map(str, entry.box))
            name = f"images/{entry.sha256[:16]}{box}.jpg"
            write_synced(draft / name, encode_jpeg(image, 95))
        height, width = image.shape[:2]
        key = (entry.catalogue, entry.coin_id)
        first.setdefault(key, entry)
        coins.setdefault(key, []).append(ExportedImage(entry, name, width, height))
    progress(len(entries), len(entries))
    return [ExportedCoin(*key, first[key].lot, tuple(images)) for key, images in coins.items()]


def _same_coins(store: Store, coins: Sequence[ExportedCoin]) -> dict[str, set[str]]:
    """For each coin's name, the others that a person confirmed to be the same coin."""
    name_of = {image.entry.id: coin.coin for coin in coins for image in coin.images}
    together: dict[str, set[str]] = {}
    for coin, entry in Decisions.read(store).confirmed:
        if entry in name_of:
            together.setdefault(coin, {coin}).add(name_of[entry])
    names = set(name_of.values())
    return {name: (group & names) - {name} for group in together.values() for name in group & names}


def _row(coin: ExportedCoin, image: ExportedImage) -> dict[str, Any]:
    entry = image.entry
    known = coin.lot.known() if coin.lot else {}
    where = {"entry": entry.id, "box": entry.box, "source": entry.source, "sha256": entry.sha256}
    return {"sale": coin.sale, "coin": coin.coin, "side": entry.side, "image": image.name, **known, **where}


def _as_csv(coins: Sequence[ExportedCoin]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for coin in coins:
        for image in coin.images:
            row = _row(coin, image)
            box = " ".join(map(str, row["box"])) if row["box"] else ""
            writer.writerow({name: "" if value is None else value for name, value in {**row, "box": box}.items()})
    return text.getvalue()


def _as_text(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
