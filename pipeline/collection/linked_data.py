"""The catalogue as others read it: a IIIF Presentation 3 manifest, and JSON-LD in Nomisma's terms.

https://iiif.io/api/presentation/3.0/ and http://nomisma.org/ontology; all terms are written out in the document's own
context, so that it is understood without the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from capture.store.lot_details import LotDetails
from capture.store.records import Entry

_LABELS = {
    "lot": "Lot", "date": "Date", "page": "Page", "plate": "Plate", "type": "Type", "type_uri": "Type URI",
    "weight_g": "Weight (g)", "diameter_mm": "Diameter (mm)", "axis_h": "Axis (h)", "metal": "Metal", "price": "Price",
    "provenance": "Provenance", "rights": "Rights", "url": "URL",
}  # fmt: skip
_RIGHTS = ("http://creativecommons.org/", "https://creativecommons.org/", "http://rightsstatements.org/vocab/")
_METALS = {
    "silver": "ar", "ar": "ar", "silber": "ar", "gold": "av", "au": "av", "av": "av", "bronze": "ae", "ae": "ae",
    "electrum": "el", "el": "el", "elektron": "el", "billon": "billon", "copper": "cu", "kupfer": "cu", "lead": "pb",
}  # fmt: skip
_CONTEXT = {
    "nmo": "http://nomisma.org/ontology#",
    "nm": "http://nomisma.org/id/",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "nmo:hasWeight": {"@type": "xsd:decimal"},
    "nmo:hasDiameter": {"@type": "xsd:decimal"},
    "nmo:hasAxis": {"@type": "xsd:integer"},
}


@dataclass(frozen=True)
class ExportedImage:
    """An image as it was written: of which entry, its path within the folder, and its size."""

    entry: Entry
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class ExportedCoin:
    """A coin of a sale, what the sale says of it, and its images."""

    sale: str
    coin: str
    lot: LotDetails | None
    images: tuple[ExportedImage, ...]

    @property
    def known(self) -> dict[str, Any]:
        """What is stated of it, by field."""
        return self.lot.known() if self.lot else {}

    def address(self, base: str) -> str:
        """What it is called on the web."""
        return f"{base}coin/{quote(self.sale, safe='')}/{quote(self.coin, safe='')}"


def as_manifest(name: str, coins: Sequence[ExportedCoin], base: str) -> dict[str, Any]:
    """A manifest with a canvas for each image."""
    canvases = [_canvas(coin, image, base) for coin in coins for image in coin.images]
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": f"{base}manifest.json",
        "type": "Manifest",
        "label": {"none": [name]},
        "items": canvases,
    }


def _canvas(coin: ExportedCoin, image: ExportedImage, base: str) -> dict[str, Any]:
    address = f"{base}canvas/{quote(image.entry.id, safe='')}"
    size = {"width": image.width, "height": image.height}
    known = {"sale": coin.sale, "coin": coin.coin, **coin.known}
    pairs = [(_LABELS.get(field, field.capitalize()), str(value)) for field, value in known.items()]
    side = f", {image.entry.side}" if image.entry.side else ""
    kind = "image/" + {"jpg": "jpeg"}.get(suffix := image.name.rpartition(".")[2], suffix)
    rights = coin.known.get("rights", "")
    body = {"id": f"{base}{image.name}", "type": "Image", "format": kind, **size}
    annotation = {
        "id": f"{address}/annotation",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": address,
    }
    return {
        "id": address,
        "type": "Canvas",
        "label": {"none": [f"{coin.sale}, {coin.coin.removeprefix(f'{coin.sale}, ')}{side}"]},
        **size,
        "metadata": [{"label": {"en": [label]}, "value": {"none": [value]}} for label, value in pairs],
        **({"rights": rights} if rights.startswith(_RIGHTS) and " " not in rights else {}),
        "items": [{"id": f"{address}/page", "type": "AnnotationPage", "items": [annotation]}],
    }


def as_linked_data(coins: Sequence[ExportedCoin], same: Mapping[str, set[str]], base: str) -> dict[str, Any]:
    """Each coin as a `nmo:NumismaticObject` that is part of its sale.

    Parameters
    ----------
    same
        For each name, the others that a person confirmed to be that coin: `skos:exactMatch`, the chain of its sales.
    """
    address_of: dict[str, list[str]] = {}
    for coin in coins:
        address_of.setdefault(coin.coin, []).append(coin.address(base))
    objects = []
    for coin in coins:
        own = coin.address(base)
        others = [each for name in (coin.coin, *sorted(same.get(coin.coin, ()))) for each in address_of.get(name, ())]
        objects.append(_object(coin, base, [each for each in others if each != own]))
    sales = dict.fromkeys(coin.sale for coin in coins)
    dated = {coin.sale: coin.known["date"] for coin in coins if "date" in coin.known}
    nodes = [_sale(name, dated.get(name), base) for name in sales]
    return {"@context": _CONTEXT, "@graph": [*nodes, *objects]}


def _sale(name: str, date: str | None, base: str) -> dict[str, Any]:
    node = {"@id": _sale_address(name, base), "@type": "dcterms:BibliographicResource", "dcterms:title": name}
    return node | ({"dcterms:date": date} if date else {})


def _object(coin: ExportedCoin, base: str, others: list[str]) -> dict[str, Any]:
    known = coin.known
    node: dict[str, Any] = {
        "@id": coin.address(base),
        "@type": "nmo:NumismaticObject",
        "dcterms:title": f"{coin.sale}, {coin.coin.removeprefix(f'{coin.sale}, ')}",
        "dcterms:identifier": known.get("lot", coin.coin),
        "dcterms:isPartOf": {"@id": _sale_address(coin.sale, base)},
    }
    for field, term in (("weight_g", "nmo:hasWeight"), ("diameter_mm", "nmo:hasDiameter")):
        if field in known:
            node[term] = f"{known[field]:.4f}".rstrip("0").rstrip(".")
    if "axis_h" in known and float(known["axis_h"]).is_integer():
        node["nmo:hasAxis"] = str(int(known["axis_h"]))
    if "type_uri" in known:
        node["nmo:hasTypeSeriesItem"] = {"@id": known["type_uri"]}
    if "type" in known:
        node["dcterms:references"] = known["type"]
    if "metal" in known:
        nomisma = _METALS.get(str(known["metal"]).lower())
        node["nmo:hasMaterial"] = {"@id": f"nm:{nomisma}"} if nomisma else known["metal"]
    for field, term in (("provenance", "dcterms:provenance"), ("rights", "dcterms:rights"), ("url", "foaf:page")):
        if field in known:
            node[term] = {"@id": known[field]} if field == "url" else known[field]
    pages = [f"{name} {known[name]}" for name in ("page", "plate") if name in known]
    if pages:
        node["dcterms:bibliographicCitation"] = ", ".join([coin.sale, *pages])
    if others:
        node["skos:exactMatch"] = [{"@id": each} for each in others]
    for image in coin.images:
        side = {"obverse": "nmo:hasObverse", "reverse": "nmo:hasReverse"}.get(image.entry.side or "")
        depiction = {"@id": f"{base}{image.name}"}
        if side:
            node[side] = {"@id": f"{coin.address(base)}#{image.entry.side}", "foaf:depiction": depiction}
        else:
            node["foaf:depiction"] = depiction
    return node


def _sale_address(name: str, base: str) -> str:
    return f"{base}sale/{quote(name, safe='')}"
