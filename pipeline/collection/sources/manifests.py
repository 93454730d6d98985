"""Records out of IIIF manifests, Presentation API 2 and 3: https://iiif.io/api/presentation/3.0/."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.collection.sources.columns import ColumnMapping, Columns
from pipeline.collection.sources.lots import SIDES, SourceImage, SourceLots
from pipeline.errors import LabError
from rig.sides import Side

_CONTEXT = "iiif.io/api/presentation/"
_LINK = re.compile(r"""<a\s[^>]*href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)


def is_manifest(document: Any) -> bool:
    """Whether a JSON document is an IIIF manifest or collection."""
    context = str(document.get("@context", "")) if isinstance(document, dict) else ""
    return _CONTEXT in context


@dataclass
class _Canvas:
    """One canvas: its label, metadata, and the addresses of its images."""

    label: str
    metadata: list[tuple[str, str]]
    images: list[str] = field(default_factory=list)


def read_manifest(document: dict[str, Any], mapping: ColumnMapping) -> SourceLots:
    """The coins of a manifest: each canvas shows one side, or both, of the coin that it or the manifest names.

    Raises
    ------
    LabError
        If it has no images, or is a collection that has its manifests elsewhere.
    """
    found = SourceLots()
    manifests = list(_manifests(document))
    if not manifests:
        raise LabError(
            "the document is a IIIF collection whose manifests are elsewhere: add each manifest by its own address."
        )
    names = [name for each in manifests for name, _ in _all_metadata(each)]
    columns = Columns(dict.fromkeys(names), mapping.columns)
    if columns.unused:
        found.notes.append(f"metadata that is not used: {', '.join(map(repr, columns.unused))}.")
    for manifest in manifests:
        _read_one(manifest, columns, found)
    found.join()
    if not found.lots and not found.wrong:
        raise LabError("the manifest has no images. Check its address: it may be one of a IIIF collection.")
    return found


def _read_one(manifest: dict[str, Any], columns: Columns, found: SourceLots) -> None:
    base = _values(columns, _metadata(manifest))
    base |= {name: text for name, text in _stated(manifest).items() if name not in base}
    canvases = list(_canvases(manifest))
    if not any({"lot", "coin"} & set(_values(columns, canvas.metadata)) for canvas in canvases):
        base.setdefault("url", _id(manifest))  # it is of one coin
    for number, canvas in enumerate(canvases, 1):
        own = _values(columns, canvas.metadata)
        side = _side_of(canvas.label, own.pop("side", ""))
        values = {**base, **own}
        if not {"lot", "coin"} & set(values):
            is_one_coin = side is not None or len(canvases) == 1
            values["coin"] = (_text(manifest.get("label")) if is_one_coin else canvas.label) or f"canvas {number}"
        where = f"canvas {number}" + (f" ({canvas.label})" if canvas.label else "")
        if not canvas.images:
            found.wrong.append(f"{where}: it has no image.")
        else:
            found.add(where, values, set(values), [SourceImage(canvas.images[0], side)])


def _values(columns: Columns, metadata: list[tuple[str, str]]) -> dict[str, str]:
    """What metadata says, by field; a link around a type is its address."""
    values = columns.values({name: _without_tags(text) for name, text in metadata})
    for name, text in metadata:
        if columns.fields.get(name) == "type" and (link := _LINK.search(text)) and "type_uri" not in values:
            values["type_uri"] = html.unescape(link[1])
    return values


def _stated(manifest: dict[str, Any]) -> dict[str, str]:
    """What a manifest says in properties of its own, by field."""
    statement = manifest.get("requiredStatement") or {}
    rights = [
        manifest.get("rights") or manifest.get("license") or "",
        _text(statement.get("value") if isinstance(statement, dict) else None) or _text(manifest.get("attribution")),
    ]
    homepage = _first(manifest.get("homepage")) or _first(manifest.get("related"))
    url = _id(homepage) if isinstance(homepage, dict) else homepage if isinstance(homepage, str) else ""
    part_of = _first(manifest.get("partOf")) or _first(manifest.get("within"))
    stated = {
        "rights": "; ".join(each for each in map(_text, rights) if each),
        "url": url,
        "date": str(manifest.get("navDate", "")).partition("T")[0],
        "sale": _text(part_of.get("label")) if isinstance(part_of, dict) else "",
    }
    return {name: text for name, text in stated.items() if text}


def _manifests(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The manifests that a document has within it, itself if it is one."""
    kind = str(document.get("type") or document.get("@type") or "")
    if kind in ("Manifest", "sc:Manifest"):
        yield document
        return
    for key in ("items", "manifests", "members"):
        for each in _list(document.get(key)):
            if isinstance(each, dict) and ("sequences" in each or _list(each.get("items"))):
                yield from _manifests(each)


def _canvases(manifest: dict[str, Any]) -> Iterator[_Canvas]:
    for canvas in _dicts(manifest.get("items")):
        bodies = [
            body
            for page in _dicts(canvas.get("items"))
            for annotation in _dicts(page.get("items"))
            for body in _bodies(annotation.get("body"))
        ]
        yield _Canvas(_text(canvas.get("label")), _metadata(canvas), [_image(body) for body in bodies if _image(body)])
    for sequence in _dicts(manifest.get("sequences")):
        for canvas in _dicts(sequence.get("canvases")):
            bodies = [
                body for annotation in _dicts(canvas.get("images")) for body in _bodies(annotation.get("resource"))
            ]
            images = [_image(body) for body in bodies if _image(body)]
            yield _Canvas(_text(canvas.get("label")), _metadata(canvas), images)


def _bodies(body: Any) -> Iterator[dict[str, Any]]:
    """Images among which one is to be chosen, the default first."""
    for each in _dicts(body):
        if each.get("type") == "Choice" or each.get("@type") == "oa:Choice":
            yield from _bodies(each.get("default"))
            yield from _bodies(each.get("items"))
        elif str(each.get("type") or each.get("@type") or "Image") in ("Image", "dctypes:Image"):
            yield each


def _image(body: dict[str, Any]) -> str:
    """Where an image is: its own address, or that of all of it from its image service."""
    service = _first(body.get("service"))
    if isinstance(service, dict) and _id(service):
        kind = f"{service.get('type', '')}{service.get('@context', '')}{service.get('profile', '')}"
        size = "max" if "3" in kind else "full"
        address = f"{_id(service).rstrip('/')}/full/{size}/0/default.jpg"
        return _id(body) or address
    return _id(body)


def _side_of(label: str, stated: str) -> Side | None:
    words = re.findall(r"[^\W\d_]+", f"{stated} {label}".lower())
    sides = {SIDES[word] for word in words if word in SIDES and len(word) > 1}
    return next(iter(sides)) if len(sides) == 1 else None


def _all_metadata(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _metadata(manifest)
    for canvas in _canvases(manifest):
        yield from canvas.metadata


def _metadata(thing: Any) -> list[tuple[str, str]]:
    pairs = _dicts(thing.get("metadata")) if isinstance(thing, dict) else []
    return [(_text(each.get("label")), _text(each.get("value"))) for each in pairs if _text(each.get("label"))]


def _text(value: Any) -> str:
    """A text in any of the forms of both versions: English if there is some, else the first language."""
    if isinstance(value, str | int | float):
        return str(value).strip()
    if isinstance(value, list):
        return "; ".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        if "@value" in value:
            return _text(value["@value"])
        return _text(value.get("en") or value.get("none") or next(iter(value.values()), ""))
    return ""


def _without_tags(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", text)).strip()


def _id(thing: Any) -> str:
    return str(thing.get("id") or thing.get("@id") or "") if isinstance(thing, dict) else ""


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None if isinstance(value, list) else value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]
