"""Frames copied out of the store into a folder that explains itself, as a BagIt bag (RFC 8493) or plain."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bagit

from calibration.durable_files import hash_bytes, hash_file, install_folder, make_folder
from calibration.image import decode_image, encode_for_exchange
from capture.store.errors import StoreError, remedy
from capture.store.records import Frame, Session, now
from capture.store.store import Store
from capture.wording import count

Format = Literal["original", "tiff", "jpeg"]
IMAGES: dict[Format, str] = {
    "original": "lossless JPEG XL, 8-bit RGB (imported photographs: as they were)",
    "tiff": "TIFF without loss, 8-bit RGB, with the scale as dots per inch",
    "jpeg": "JPEG of quality 95, with the scale as dots per inch; the store has them without loss",
}
SIZES: dict[Format, float] = {"original": 1.0, "tiff": 4.0, "jpeg": 1.5}  # over the stored size, at most

SPARE_BYTES = 16 * 1024 * 1024  # for what is written beside the images

README = """\
{frames} of {coins} out of {sessions}, exported {at} by {software}.

frames/             the images: frames/<coin>/<side>/<session>_<light>_<angle>_<frame>.raw as the camera gave it,
                    .calibrated without distortion and uneven light, .sources.zip what a bracket was merged of, as the
                    camera gave it (the .raw is then the merged image); {images}
frames.csv          one line for each frame: which coin and side, pose commanded and read back, light, exposure,
                    mm per pixel, quality, SHA-256 of its images as they are stored
frames.json         the same, with everything that the camera and the quality check reported
sessions.json       each session's plan, tray, devices and shots as they were frozen when it began
coins.csv           each coin's type, diameter, weight and measures, where known
journal.jsonl       what was done and what happened in these sessions, in order
calibrations/       the bundles that the calibrated images were made with
"""

SOURCES = "sources"
_NAME_BYTES = 100  # of the 255 that file systems take
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no names for Windows
_LEFT_FOR_JSON = ("quality", "camera")


@dataclass(frozen=True)
class ExportOptions:
    """How frames are exported: as a BagIt bag or a plain folder, and in which format."""

    bag: bool = True
    format: Format = "original"


@dataclass(frozen=True)
class Exported:
    """Where an export lies and what it holds; ``missing_calibrations`` were not found in the lab."""

    folder: Path
    frames: int
    images: int
    bytes: int
    coins: int
    sessions: int
    missing_calibrations: tuple[str, ...]


def export(
    store: Store,
    calibrations: Path,
    target: Path,
    frames: Sequence[Frame],
    options: ExportOptions | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Copy frames, and all that is needed to understand them, into the folder `target`.

    Every image is checked against its hash as it is read, and every file again where it was written.

    Parameters
    ----------
    calibrations
        The lab's folder of calibration bundles.
    Raises
    ------
    StoreError
        If `target` holds something already, there is too little room, or an image is damaged.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is not empty. Name a new folder; nothing was written.")
    target = target.resolve()
    options = options or ExportOptions()
    folders = _coin_folders({frame.coin_id for frame in frames})
    files = [(frame, list(_images(store, frame, folders[frame.coin_id], options.format))) for frame in frames]
    stored = sum(store.path(sha256).stat().st_size for _, images in files for _, sha256 in images)
    size = round(stored * SIZES[options.format])
    working = target.with_name(f".{target.name}.partial")  # what was interrupted never looks like an export
    try:
        make_folder(target.parent)
        free = shutil.disk_usage(target.parent).free
        if free < size + SPARE_BYTES:
            raise StoreError(
                f"{target.parent} has room for {free / 1e9:.2f} GB, and the export may take {size / 1e9:.2f} GB. "
                "Name another disk, or export less (--session, --coin, --tray); nothing was written."
            )
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        total = sum(len(images) for _, images in files)
        copied = written = 0
        for frame, images in files:
            for name, sha256 in images:
                written += _copy(store, frame, sha256, working / name, options.format)
                copied += 1
                progress(copied, total)
        sessions = [store.sessions.get(each) for each in dict.fromkeys(frame.session_id for frame in frames)]
        missing = _describe(store, calibrations, working, files, sessions, options.format)
        _seal(working, options.bag, len(frames))
        install_folder(working, target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}. {remedy(error)}") from error
    coins = {frame.coin_id for frame in frames}
    return Exported(target, len(frames), total, written, len(coins), len(sessions), missing)


def _coin_folders(coins: Iterable[str]) -> dict[str, str]:
    """A folder's name for each coin, another for every coin on any disk, also where A and a are one name."""
    plain = {coin: _plain(coin) for coin in coins}
    taken = Counter(name.casefold() for name in plain.values())
    return {
        coin: name
        if name == coin and taken[name.casefold()] == 1 and not _DEVICES.fullmatch(name)
        else f"{name}~{hash_bytes(coin.encode())[:8]}"  # no plain name holds a ~
        for coin, name in plain.items()
    }


def _images(store: Store, frame: Frame, folder: str, format_: Format) -> Iterator[tuple[str, str]]:
    """Where a frame's images go, and their hashes."""
    parts = [frame.session_id, frame.light or Path(frame.source or "").stem]
    if frame.turntable_deg is not None:
        parts.append(f"{frame.turntable_deg:05.1f}deg")
    name = f"frames/{folder}/{frame.side or 'unknown'}/{_plain('_'.join(parts))}_{frame.id[:8]}"
    for which, sha256 in (("raw", frame.sha256), ("calibrated", frame.calibrated_sha256)):
        if sha256 is not None:
            suffix = store.path(sha256).suffix if format_ == "original" else f".{format_}"
            yield f"{name}.{which}{suffix}", sha256
    if frame.sources_sha256 is not None:
        yield f"{name}.{SOURCES}{store.path(frame.sources_sha256).suffix}", frame.sources_sha256


def _plain(name: str) -> str:
    """A name that any file system takes: without what some forbid, and short enough."""
    short = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return re.sub(r"[^\w.,+ -]", "_", short).strip(". ") or "_"


def _copy(store: Store, frame: Frame, sha256: str, path: Path, format_: Format) -> int:
    data = store.storage.files.read(sha256, store.path(sha256).suffix)
    if format_ != "original" and sha256 != frame.sources_sha256:  # several images: as they are
        data = encode_for_exchange(decode_image(data, str(store.path(sha256))), format_, frame.mm_per_pixel)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if hash_file(path) != hash_bytes(data):
        raise StoreError(f"{path} reads back differently than it was written: its disk is faulty. Use another.")
    return len(data)


def _describe(
    store: Store,
    calibrations: Path,
    folder: Path,
    files: Sequence[tuple[Frame, Sequence[tuple[str, str]]]],
    sessions: Sequence[Session],
    format_: Format,
) -> tuple[str, ...]:
    """Write what explains the images; return the calibrations that were not found."""
    coins = {coin.id: coin for coin in store.coins.all()}
    rows: list[dict[str, Any]] = []
    for frame, images in files:
        raw, calibrated = images[0][0], images[1][0] if len(images) > 1 else None
        coin = coins[frame.coin_id]
        known = {"type": coin.type, "diameter_mm": coin.diameter_mm}
        rows.append({"raw": raw, "calibrated": calibrated, **frame.as_record(), **known})
    _write_json(folder / "frames.json", rows)
    table = [{name: value for name, value in row.items() if name not in _LEFT_FOR_JSON} for row in rows]
    _write_csv(
        folder / "frames.csv",
        [{**row, "sharpness": frame["quality"].get("sharpness")} for row, frame in zip(table, rows, strict=True)],
    )
    present = sorted({frame.coin_id for frame, _ in files})
    _write_csv(folder / "coins.csv", [{**coins[coin].as_record(), **_measures(store, coin)} for coin in present])
    described = []
    for session in sessions:
        shots = [{"id": shot.id, **shot.model_dump()} for shot in store.sessions.shots(session.id)]
        described.append({**session.as_record(), "shots": shots})
    _write_json(folder / "sessions.json", described)
    lines = [line for session in sessions for line in store.journal.in_index(session.id).items()]
    (folder / "journal.jsonl").write_text("".join(json.dumps(_journal_row(*line)) + "\n" for line in sorted(lines)))
    used = {frame.calibration_id for frame, _ in files} - {None}
    missing = []
    for calibration in store.calibrations.all():
        if calibration.id in used:
            bundle = calibrations / calibration.folder
            if bundle.is_dir():
                shutil.copytree(bundle, folder / "calibrations" / calibration.folder)
            else:
                missing.append(calibration.id)
    readme = README.format(
        frames=count(len(files), "frame"),
        coins=count(len(present), "coin"),
        sessions=count(len(sessions), "session"),
        at=now(),
        images=IMAGES[format_],
        software=", ".join(sorted({session.software for session in sessions})),
    )
    (folder / "README.txt").write_text(readme)
    return tuple(missing)


def _measures(store: Store, coin: str) -> dict[str, Any]:
    """What was weighed and measured of a coin, empty where it was not."""
    measured = store.coins.measured(coin)
    names = ("diameter_min_mm", "diameter_max_mm", "area_mm2", "axis_h", "thickness_mm")
    return {
        "weight_g": store.coins.weight_g(coin),
        "diameter_measured_mm": None if measured is None else measured.diameter_mm,
        **{name: None if measured is None else getattr(measured, name) for name in names},
    }


def _journal_row(number: int, line: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, **{name: line[name] for name in ("session_id", "at", "kind", "detail")}}


def _seal(folder: Path, bag: bool, frames: int) -> None:
    """Make a bag of the folder, checked; or list the hashes of a plain one."""
    if bag:
        made = bagit.make_bag(
            str(folder), {"External-Description": f"{count(frames, 'frame')} of coins"}, checksums=["sha256"]
        )
        try:
            made.validate()
        except bagit.BagError as error:
            raise StoreError(f"{folder} is not a valid bag ({error}): its disk is faulty. Use another.") from error
        return
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{hash_file(path)}  {path.relative_to(folder)}\n" for path in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
