"""Which column, key or label of somebody's record says what: by its name, or by a mapping file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from capture.store.lot_details import FIELDS
from pipeline.documents import read_document
from pipeline.errors import LabError

OWN = ("sale", "coin", "side", "image", "obverse", "reverse")
"""Fields that say where a record belongs and which images are its, beside those of `LotDetails`."""

NAMES: dict[str, tuple[str, ...]] = {
    "sale": ("sale", "auction", "auction name", "sale name", "auktion", "vente", "asta", "collection", "sammlung"),
    "coin": ("coin", "coin id", "accession", "accession number", "inventory number", "inv nr", "inv no", "object id"),
    "side": ("side", "seite", "face", "lato"),
    "image": ("image", "photo", "picture", "image file", "file", "filename", "image url", "bild", "foto", "abbildung"),
    "obverse": ("obverse", "obverse image", "obverse file", "obverse url", "obv", "obv image", "avers", "vorderseite"),
    "reverse": ("reverse", "reverse image", "reverse file", "reverse url", "rev", "rev image", "revers", "rückseite"),
    "date": ("date", "sale date", "auction date", "date of sale", "datum", "auktionsdatum", "date de vente", "data"),
    "lot": ("lot", "lot number", "lot no", "lot nr", "los", "losnummer", "los nr", "nr", "no", "number", "numéro"),
    "page": ("page", "page number", "seite im katalog", "pagina", "p"),
    "plate": ("plate", "plate number", "pl", "tafel", "taf", "planche", "tavola", "tav"),
    "type": (
        "type",
        "reference",
        "references",
        "ref",
        "rrc",
        "ric",
        "crawford",
        "typ",
        "referenz",
        "zitat",
        "référence",
    ),
    "type_uri": ("type uri", "type url", "uri", "nomisma", "nomisma uri", "ocre", "crro", "typ uri"),
    "weight_g": ("weight", "weight g", "wt", "mass", "gewicht", "gew", "poids", "peso", "вес"),
    "diameter_mm": (
        "diameter",
        "diameter mm",
        "diam",
        "size",
        "durchmesser",
        "durchm",
        "dm",
        "ø",
        "diamètre",
        "diametro",
        "диаметр",
    ),
    "axis_h": ("axis", "axis h", "die axis", "stempelstellung", "stempelst", "axe", "asse", "hour"),
    "metal": ("metal", "material", "metall", "métal", "metallo"),
    "price": (
        "price",
        "hammer",
        "hammer price",
        "price realised",
        "price realized",
        "zuschlag",
        "preis",
        "prix",
        "prezzo",
    ),
    "provenance": ("provenance", "pedigree", "provenienz", "herkunft", "provenienza", "ex"),
    "rights": ("rights", "license", "licence", "copyright", "attribution", "rechte", "lizenz", "droits"),
    "url": ("url", "link", "web", "website", "lot url", "homepage"),
}
_FIELD_OF = {name: field for field, names in NAMES.items() for name in (field.replace("_", " "), *names)}
_UNIT = re.compile(r"[\(\[]\s*([^\)\]]{1,8})\s*[\)\]]\s*$|\bin\s+(\w{1,3})\s*$")
_MEASURED = ("weight_g", "diameter_mm", "axis_h")


class ColumnMapping(BaseModel):
    """A mapping file: which of somebody's columns is which field.

    Attributes
    ----------
    columns
        Field to the name of its column; for JSON, to its key, those of objects within objects joined by dots.
    sheet
        The workbook's sheet to read; without it, all that have a header.
    header_line
        The line of the header; without it, the one that names most fields.
    encoding
        Of a CSV file that is not in UTF-8.
    images
        The folder that the images' names are relative to, itself relative to the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str] = {}
    sheet: str | None = None
    header_line: int | None = None
    encoding: str | None = None
    images: str | None = None


def read_mapping(path: Path | None) -> ColumnMapping:
    """Read a mapping file; without one, names alone decide.

    Raises
    ------
    LabError
        If it cannot be read, or names a field that there is not.
    """
    if path is None:
        return ColumnMapping()
    if not path.exists():
        raise LabError(f"the mapping file {path} does not exist. Check the path.")
    mapping = read_document(path, ColumnMapping)
    for field in mapping.columns:
        if field not in NAMES:
            raise LabError(f"{path}: there is no field {field!r}. There are: {', '.join((*OWN, *FIELDS))}.")
    return mapping


class Columns:
    """What each of some names is, in a table's header, a JSON object or a manifest's metadata.

    Attributes
    ----------
    fields
        Name to field.
    unused
        Names that are no field.
    """

    def __init__(self, names: Iterable[str], mapping: Mapping[str, str]) -> None:
        self.fields: dict[str, str] = {}
        names = [name for name in names if name]
        mapped = {plain_name(column): field for field, column in mapping.items()}
        self.missing = [column for column in mapping.values() if plain_name(column) not in map(plain_name, names)]
        for name in names:
            field = mapped.get(plain_name(name)) or find_field(name)
            if field is None or (plain_name(name) not in mapped and field in mapping):
                continue
            if field not in self.fields.values():  # of two columns of one meaning the first counts
                self.fields[name] = field
        self.unused = [name for name in names if name not in self.fields]

    def values(self, row: Mapping[str, str]) -> dict[str, str]:
        """What a row says, by field; a bare number gets the unit that the column's name gives."""
        found = {}
        for name, field in self.fields.items():
            text = row.get(name, "").strip()
            unit = _UNIT.search(name)
            if field in _MEASURED and unit and re.fullmatch(r"[\d.,' ]+", text):
                text = f"{text} {unit[1] or unit[2]}"
            if text:
                found[field] = text
        return found


def find_field(name: str) -> str | None:
    """The field that a column's name means; None if it is none."""
    plain = plain_name(name)
    return _FIELD_OF.get(plain) or _FIELD_OF.get(plain_name(_UNIT.sub("", name)))


def plain_name(name: str) -> str:
    """A name without case, punctuation and line breaks."""
    letters = unicodedata.normalize("NFC", name).casefold()
    return " ".join(re.sub(r"[^\w]+|_", " ", letters).split())
