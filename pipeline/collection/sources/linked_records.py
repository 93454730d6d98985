"""Records as museums and Nomisma publish them: JSON-LD in the terms of Linked Art, or of Nomisma's ontology.

https://linked.art/model/ (object identity, dimensions, digital content) and https://nomisma.org/documentation/contribute
(physical coins). Terms are known by their last part, whatever their prefix; what is described elsewhere in the document
is looked up there, and nothing is fetched but images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline.collection.sources.downloads import is_address
from pipeline.collection.sources.lots import SIDES, SourceImage, SourceLots
from pipeline.errors import LabError
from rig.sides import Side

LINKED_ART, NOMISMA = "HumanMadeObject", "NumismaticObject"
_MEASURED = {"weight_g": ("weight", "300056240"), "diameter_mm": ("diameter", "300055624"), "axis_h": ("axis",)}
_ACCESSION = ("accession", "300312355", "inventory", "object number", "registration")
_STATEMENTS = {
    "provenance": ("provenance", "300435438", "300444174"),
    "rights": ("rights", "copyright", "300055547", "credit line", "300026687", "300435418"),
    "type": ("reference", "citation", "300311705"),
}
_UNITS = {"300379226": "g", "300379227": "kg", "300379097": "mm", "300379098": "cm", "millimet": "mm"}
_UNITS |= {"centimet": "cm", "milligram": "mg", "degree": "°", "hour": "h", "gram": "g"}
_TYPES = ("numismatics.org/", "nomisma.org/id/", "/rpc.ashmus")
_IIIF = "iiif.io/api/image"
DEEPEST = 4  # things within things that name one: a document may lead in a circle
Node = dict[str, Any]


def is_linked(document: Any) -> bool:
    """Whether a JSON document describes objects in these terms."""
    return next(_objects(document), None) is not None


def read_linked(document: Any) -> SourceLots:
    """The coins of a JSON-LD document, with the addresses of their images.

    Raises
    ------
    LabError
        If there are none.
    """
    found, nodes = SourceLots(), _Nodes(document)
    for number, node in enumerate(_objects(document), 1):
        read = _linked_art if LINKED_ART in _types(node) else _nomisma
        values, images = read(node, nodes)
        if is_address(address := _id(node)):
            values.setdefault("url", address)
        named = values.get("coin") or values.get("lot")
        where = f"object {number}" + (f" ({named})" if named else "")
        usable = [image for image in dict.fromkeys(images) if is_address(image.name)]
        if not usable:
            found.wrong.append(f"{where}: it has no image, or describes it elsewhere. Download the whole record.")
        else:
            found.add(where, values, set(values), _one_each(usable))
    found.join()
    if not found.lots and not found.wrong:
        raise LabError(f"the document describes no object of the kinds {LINKED_ART} and {NOMISMA}.")
    return found


class _Nodes:
    """Looks up what a document describes in one place and names in another."""

    def __init__(self, document: Any) -> None:
        self._known: dict[str, Node] = {}
        for node in _walk(document):
            if _id(node) and len(node) > len(self._known.get(_id(node), ())):
                self._known[_id(node)] = node

    def all(self, node: Node, *terms: str) -> list[Node]:
        """What a node has under any of some terms, each as it is described; a text alone is its ``@value``."""
        found = []
        for term, value in node.items():
            if _last(term) in terms:
                for each in value if isinstance(value, list) else [value]:
                    each = each if isinstance(each, dict) else {"@value": each}
                    found.append(self._known.get(_id(each), each))
        return found

    def text(self, node: Node, *terms: str) -> str:
        """The first text that a node has under any of some terms."""
        return next((text for each in self.all(node, *terms) if (text := self.label(each))), "")

    def label(self, node: Node, deep: int = 0) -> str:
        """What a node says or is called."""
        for term in ("@value", "content", "value", "_label", "label", "title", "prefLabel"):
            for key, value in node.items():
                if (key == term or _last(key) == term) and isinstance(value, str | int | float):
                    return str(value).strip()
        named = self.all(node, "title", "label", "prefLabel", "identified_by") if deep < DEEPEST else []
        return next((text for each in named if (text := self.label(each, deep + 1))), "")

    def kinds(self, node: Node) -> str:
        """What a node is classified as, its addresses and words, in small letters."""
        kinds = self.all(node, "classified_as")
        return " ".join([str(node.get("_label", "")), *map(_id, kinds), *map(self.label, kinds)]).lower()


def _nomisma(node: Node, nodes: _Nodes) -> tuple[dict[str, str], list[SourceImage]]:
    values: dict[str, str] = {}
    sale = next((each for each in nodes.all(node, "isPartOf") if "BibliographicResource" in _types(each)), None)
    identifier = nodes.text(node, "identifier") or nodes.text(node, "title")
    values["lot" if sale is not None and identifier.isdecimal() else "coin"] = identifier
    collection = sale or next(iter(nodes.all(node, "hasCollection")), None)
    if collection is not None:
        values["sale"] = nodes.label(collection) or _last(_id(collection))
    if sale is not None:
        values["date"] = nodes.text(sale, "date")
    for field, term in (("weight_g", "hasWeight"), ("diameter_mm", "hasDiameter"), ("axis_h", "hasAxis")):
        values[field] = nodes.text(node, term)
    values["type"] = nodes.text(node, "references")
    for field, terms in (("type_uri", ("hasTypeSeriesItem",)), ("url", ("page",))):
        values[field] = next((_id(each) for each in nodes.all(node, *terms) if _id(each)), "")
    metal = next(iter(nodes.all(node, "hasMaterial")), {})
    values["metal"] = nodes.label(metal) or _last(_id(metal))
    rights = next(iter(nodes.all(node, "license", "rights")), {})
    values["rights"] = nodes.label(rights) or _id(rights)
    values["provenance"] = nodes.text(node, "provenance")
    images = [SourceImage(_id(each)) for each in nodes.all(node, "depiction")]
    for side, term in (("obverse", "hasObverse"), ("reverse", "hasReverse")):
        shown = [image for each in nodes.all(node, term) for image in nodes.all(each, "depiction")]
        images += [SourceImage(_id(each), SIDES[side]) for each in shown]
    return {field: text for field, text in values.items() if text}, images


def _linked_art(node: Node, nodes: _Nodes) -> tuple[dict[str, str], list[SourceImage]]:
    values: dict[str, str] = {}
    names = nodes.all(node, "identified_by")
    identifiers = [each for each in names if "Identifier" in _types(each)]
    accession = [each for each in identifiers if any(word in nodes.kinds(each) for word in _ACCESSION)]
    values["coin"] = next(map(nodes.label, [*accession, *identifiers, *names]), str(node.get("_label", "")))
    for each in nodes.all(node, "dimension"):
        kind, unit = nodes.kinds(each), next(iter(nodes.all(each, "unit")), {})
        words = f"{_id(unit)} {nodes.label(unit)}".lower()
        measured = f"{nodes.text(each, 'value')} {next((_UNITS[word] for word in _UNITS if word in words), '')}".strip()
        for field, known in _MEASURED.items():
            if any(term in kind for term in known):
                values.setdefault(field, measured)
    values["metal"] = nodes.text(node, "made_of")
    for each in nodes.all(node, "classified_as"):
        if any(known in _id(each) for known in _TYPES):
            values["type_uri"], values["type"] = _id(each), nodes.label(each)
    for each in nodes.all(node, "referred_to_by"):
        for field, terms in _STATEMENTS.items():
            if any(term in nodes.kinds(each) for term in terms) and not values.get(field):
                values[field] = nodes.label(each)
    rights = [kind for each in nodes.all(node, "subject_to") for kind in nodes.all(each, "classified_as")]
    values["rights"] = values.get("rights") or next(filter(None, map(_id, rights)), "")
    values["sale"] = nodes.text(node, "member_of") or nodes.text(node, "current_owner")
    images = list(_shown(node, nodes, None))
    return {field: text for field, text in values.items() if text}, images


def _shown(node: Node, nodes: _Nodes, side: Side | None, deep: int = 0) -> Iterator[SourceImage]:
    """The images of a thing, and of its parts: a coin's sides are parts of it where they are described apart."""
    for visual in nodes.all(node, "representation", "shows"):
        of_visual = _side_of(nodes, visual) or side
        digital = nodes.all(visual, "digitally_shown_by") or [visual]
        for each in digital:
            if address := _address(each, nodes):
                yield SourceImage(address, _side_of(nodes, each) or of_visual)
    for part in nodes.all(node, "part") if deep < DEEPEST else ():
        yield from _shown(part, nodes, _side_of(nodes, part) or side, deep + 1)


def _address(digital: Node, nodes: _Nodes) -> str:
    """Where the pixels of a digital object are."""
    for each in [digital, *nodes.all(digital, "digitally_available_via")]:
        address = next((_id(point) for point in nodes.all(each, "access_point")), "")
        standard = next((_id(known) for known in nodes.all(each, "conforms_to") if _IIIF in _id(known)), "")
        if address and standard and "/full/" not in address:
            size = "full" if "/2" in standard else "max"
            return f"{address.removesuffix('/info.json').rstrip('/')}/full/{size}/0/default.jpg"
        if address:
            return address
    is_image = re.search(r"\.(jpe?g|png|tiff?|webp)(\?|$)|googleusercontent", _id(digital), re.IGNORECASE)
    return _id(digital) if is_image else ""


def _side_of(nodes: _Nodes, node: Node) -> Side | None:
    words = re.findall(r"[^\W\d_]+", f"{nodes.kinds(node)} {nodes.label(node)}".lower())
    sides = {SIDES[word] for word in words if word in SIDES and len(word) > 2}
    return next(iter(sides)) if len(sides) == 1 else None


def _one_each(images: list[SourceImage]) -> list[SourceImage]:
    """The first image of each side if there are any of known sides, else the first: others are details or copies."""
    first = {image.side: image for image in reversed(images)}
    return [image for side, image in reversed(first.items()) if side is not None] or [first[None]]


def _objects(document: Any) -> Iterator[Node]:
    for node in _walk(document):
        if {LINKED_ART, NOMISMA} & _types(node) and not _is_part(node):
            yield node


def _is_part(node: Node) -> bool:
    """Whether it is a part of an object, or only named: nothing identifies or measures it."""
    return len({_last(term) for term in node} - {"id", "@id", "type", "@type", "_label", "classified_as"}) < 2


def _walk(thing: Any, deep: int = 0) -> Iterator[Node]:
    if isinstance(thing, dict):
        yield thing
    for each in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ():
        if deep < 10 * DEEPEST:
            yield from _walk(each, deep + 1)


def _types(node: Node) -> set[str]:
    stated = node.get("type", node.get("@type", ()))
    return {_last(str(each)) for each in (stated if isinstance(stated, list) else [stated])}


def _last(term: str) -> str:
    """The last part of a term or an address."""
    return re.split(r"[#/:]", term.rstrip("/"))[-1]


def _id(node: Node) -> str:
    return str(node.get("id") or node.get("@id") or "")
