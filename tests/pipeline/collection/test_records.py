"""`rig catalogue add` of tables and manifests, and what the catalogue then says: list, show, stats, export."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import openpyxl
import pytest
from iiif_prezi3 import Manifest
from rdflib import Graph, Literal, Namespace, URIRef

from calibration.image import decode_image, encode_jpeg
from pipeline.collection.sources.columns import ColumnMapping
from pipeline.collection.sources.linked_records import is_linked, read_linked
from pipeline.collection.sources.manifests import is_manifest, read_manifest
from pipeline.collection.sources.values import ValueProblem, read_date, read_details
from pipeline.errors import LabError
from tests.pipeline.collection.test_catalogue import coin_image
from tests.pipeline.conftest import Rig

SALE = "Hess 1936-03-18"


@pytest.fixture
def empty_lab(rig: Rig, tmp_path: Path) -> Path:
    lab = tmp_path / "empty"
    assert rig("init", "--collection", "--lab", lab).code == 0
    return lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images 1.jpg to 4.jpg, obverse beside reverse, in a folder beside the table."""
    (tmp_path / "sale" / "images").mkdir(parents=True)
    for number in range(1, 5):
        both = [decode_image(coin_image(10 * number + side), "") for side in (0, 1)]
        (tmp_path / "sale" / "images" / f"{number}.jpg").write_bytes(encode_jpeg(np.hstack(both), 95))
    return tmp_path / "sale"


def workbook(path: Path) -> Path:
    """A workbook as an auction house keeps it: a title, a header of two lines, merged cells, wrong lines, notes."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "Lose"
    for row in (
        ["Auktion Hess, Luzern"],
        [],
        ["Los", "Tafel", "Maße", None, "Typ", "Bild", "Datum", "Bemerkung"],
        [None, None, "Gewicht (g)", "Durchmesser", None, None, None, None],
        [231, "VII", "3,87 g", "18x17 mm", "RRC 44/5", "images\\1.jpg", datetime(1936, 3, 18), "x"],
        [],
        [232, None, 4.1, "19", "RRC 44/5", "images/2.jpg", 13227],
        [233, "VIII", "four", "19", "RRC 44/5", "images/3.jpg", 13227],
        [234, "VIII", 3.9, "19", "RRC 44/5", "images/4.jpg", "3/4/1936"],
        [235, "VIII", 3.9, "19", "RRC 44/5", "images/44.jpg", "18.-19. März 1936"],
        ["Total", None, None, 76],
    ):
        sheet.append(row)
    for merged in ("A1:H1", "C3:D3", "B5:B7"):
        sheet.merge_cells(merged)
    book.create_sheet("Notizen").append(["nothing but text"])
    book.save(path)
    return path


def records(lab: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(lab / "store" / "index.sqlite") as index:
        return [json.loads(row[0]) for row in index.execute("SELECT content FROM lot ORDER BY number")]


def test_a_workbook_with_wrong_lines_is_added_as_a_whole_or_without_them(
    rig: Rig, empty_lab: Path, folder: Path
) -> None:
    add = ("catalogue", "add", workbook(folder / "hess.xlsx"), "--sale", SALE, "--lab", empty_lab)
    ran = rig(*add)
    assert ran.code == 1 and "Nothing was added" in ran.err
    assert "line 8: weight g 'four' is no number" in ran.err and "line 9: date '3/4/1936' has two meanings" in ran.err
    assert "line 10: there is no image" in ran.err and "Did you mean" in ran.err and "line 11" in ran.err
    assert rig("catalogue", "list", "--lab", empty_lab, "--json").json == []
    dry = rig(*add, "--skip-wrong", "--dry-run", "--json")
    assert (dry.code, dry.json["records"], dry.json["entries"], dry.json["added"]) == (3, 2, 4, False)
    assert rig("catalogue", "list", "--lab", empty_lab, "--json").json == []
    added = rig(*add, "--skip-wrong", "--json")
    assert (added.code, added.json["records"], added.json["entries"], len(added.json["refused"])) == (3, 2, 4, 4)
    first, second = records(empty_lab)
    assert first == {
        "lot": "231", "plate": "VII", "weight_g": 3.87, "diameter_mm": 18.0, "type": "RRC 44/5", "date": "1936-03-18"
    }  # fmt: skip
    assert (second["plate"], second["date"]) == ("VII", "1936-03-18"), "merged cells, and a date that Excel counted"
    assert rig(*add, "--skip-wrong", "--json").json["unchanged"] == 2 and len(records(empty_lab)) == 2


def test_a_corrected_record_supersedes_the_former_which_is_shown(rig: Rig, empty_lab: Path, folder: Path) -> None:
    table = folder / "hess.csv"
    table.write_bytes("\ufeffLot;Image;Weight;Plate;Händler\r\n231;images/1.jpg;3,80;VII;Müller\r\n".encode())
    add = ("catalogue", "add", table, "--sale", SALE, "--lab", empty_lab, "--json")
    first = rig(*add)
    assert first.code == 0 and first.json["records"] == 1, first.err
    table.write_bytes(
        "Lot;Weight;Händler\r\n0231;3,87;Müller\r\n".encode("cp1252")
    )  # without images, and saved by Excel
    again = rig(*add)
    assert (again.json["corrected"], again.json["entries"]) == (1, 0), again.err
    assert any("Windows-1252 (as in 'Händler')" in note for note in again.json["notes"])
    shown = rig("catalogue", "show", "231", "--lab", empty_lab, "--json").json
    (coin,) = shown["coins"]
    assert coin["record"]["weight_g"] == 3.87 and coin["record"]["plate"] == "VII", "what was not spoken of stays"
    assert [each["record"]["weight_g"] for each in coin["history"]] == [3.8]
    assert coin["source"] == "hess.csv, line 2" and len(coin["source_sha256"]) == 64
    assert rig("store", "rebuild", "--lab", empty_lab).code == 0
    assert rig("catalogue", "show", "231", "--lab", empty_lab, "--json").json == shown
    assert "weight g: of 1 coin" in rig("catalogue", "stats", "--lab", empty_lab).out


def test_a_mapping_file_names_what_is_not_understood(rig: Rig, empty_lab: Path, folder: Path) -> None:
    (folder / "list.csv").write_text("Obj,Scan,Masse brutto\nA 7,1,3.5\n".replace(",1,", ",1.jpg,"))
    add = ("catalogue", "add", folder / "list.csv", "--lab", empty_lab)
    ran = rig(*add)
    assert ran.code == 1 and "--mapping" in ran.err
    mapping = folder / "mapping.yaml"
    mapping.write_text("images: images\ncolumns: {coin: Obj, image: Scan, weight_g: Masse brutto}\n")
    assert rig(*add, "--mapping", mapping).code == 0
    assert records(empty_lab) == [{"weight_g": 3.5}]
    mapping.write_text("columns: {coin: Obj, wieght: Scan}\n")
    ran = rig(*add, "--mapping", mapping)
    assert ran.code == 1 and "no field 'wieght'" in ran.err and "Traceback" not in ran.err


def test_exports_are_what_others_read_and_can_be_added_again(rig: Rig, empty_lab: Path, folder: Path) -> None:
    (folder / "hess.json").write_text(
        json.dumps(
            [
                {"lot": 231, "image": "images/1.jpg", "weight": 3.87, "metal": "Silver", "axis": "180°"}
                | {"type": "RRC 44/5", "type_uri": "http://numismatics.org/crro/id/rrc-44.5"},
                {"lot": 118, "sale": "Santamaria 1951", "image": "images/2.jpg"},
            ]
        )
    )
    assert rig("catalogue", "add", folder / "hess.json", "--lab", empty_lab).code == 0
    assert rig("confirm", "lot 231", "lot 118", "--why", "the same crack", "--lab", empty_lab).code == 0
    out = folder.parent / "out"
    assert rig("catalogue", "export", out, "--base-url", "https://example.org/c", "--lab", empty_lab).code == 0
    assert rig("catalogue", "export", out, "--lab", empty_lab).code == 2, "a folder that is not empty"
    manifest = Manifest.model_validate(json.loads((out / "manifest.json").read_text()))
    assert len(manifest.items) == 4 and (out / "catalogue.csv").read_text("utf-8-sig").count("\n") == 5
    graph = Graph().parse(out / "nomisma.jsonld", format="json-ld")
    nmo, skos = Namespace("http://nomisma.org/ontology#"), Namespace("http://www.w3.org/2004/02/skos/core#")
    (coin,) = graph.subjects(nmo.hasTypeSeriesItem, URIRef("http://numismatics.org/crro/id/rrc-44.5"))
    assert graph.value(coin, nmo.hasMaterial) == URIRef("http://nomisma.org/id/ar")
    assert [float(graph.value(coin, term)) for term in (nmo.hasWeight, nmo.hasAxis)] == [3.87, 6.0]  # type: ignore[arg-type]
    (other,) = graph.objects(coin, skos.exactMatch)
    assert "Santamaria" in str(other) and (other, None, Literal("118")) in graph
    again = folder.parent / "again"
    assert rig("init", "--collection", "--lab", again).code == 0
    for file in ("manifest.json", "catalogue.csv", "catalogue.json"):
        added = rig("catalogue", "add", out / file, "--lab", again, "--json").json
        assert (added["coins"], added["refused"]) == (2, []), "images lie beside the manifest"
        assert added["entries"] == (4 if file == "manifest.json" else 0)
    assert records(again)[0] == records(empty_lab)[0]


def test_manifests_of_both_versions_are_added_from_an_address(rig: Rig, empty_lab: Path, folder: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    for number in range(1, 5):
        (folder / "images" / f"{number}.jpg").write_bytes(encode_jpeg(decode_image(coin_image(number), ""), 95))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    (folder / "v2.json").write_text(json.dumps(version_2(base)))
    (folder / "v3.json").write_text(json.dumps(version_3(base)))
    try:
        for version in ("v2", "v3"):
            ran = rig("catalogue", "add", f"{base}/{version}.json", "--sale", version, "--lab", empty_lab, "--json")
            assert (ran.code, ran.json["records"], ran.json["entries"]) == (0, 1, 2), ran.err
        missing = rig("catalogue", "add", f"{base}/nothing.json", "--lab", empty_lab)
        assert missing.code == 1 and "404" in missing.err
    finally:
        server.shutdown()
    two, three = records(empty_lab)
    assert two["weight_g"] == three["weight_g"] == 3.87
    assert (two["type"], two["type_uri"]) == ("RRC 44/5", "http://numismatics.org/crro/id/rrc-44.5")
    assert three["rights"] == "http://creativecommons.org/publicdomain/zero/1.0/"


def version_2(base: str) -> dict[str, Any]:
    def canvas(number: int, side: str) -> dict[str, Any]:
        resource = {"@id": f"{base}/images/{number}.jpg", "@type": "dctypes:Image"}
        return {"@type": "sc:Canvas", "label": side, "images": [{"@type": "oa:Annotation", "resource": resource}]}

    link = '<a href="http://numismatics.org/crro/id/rrc-44.5">RRC 44/5</a>'
    return {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "@id": f"{base}/v2.json",
        "@type": "sc:Manifest",
        "label": [{"@value": "1944.100.45", "@language": "en"}],
        "metadata": [{"label": "Weight", "value": "3.87 g"}, {"label": "Reference", "value": link}],
        "sequences": [{"@type": "sc:Sequence", "canvases": [canvas(1, "Obverse"), canvas(2, "Reverse")]}],
    }


def version_3(base: str) -> dict[str, Any]:
    def canvas(number: int, side: str) -> dict[str, Any]:
        body = {"id": f"{base}/images/{number}.jpg", "type": "Image", "format": "image/jpeg"}
        annotation = {"type": "Annotation", "motivation": "painting", "body": body}
        return {"type": "Canvas", "label": {"en": [side]}, "items": [{"type": "AnnotationPage", "items": [annotation]}]}

    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": f"{base}/v3.json",
        "type": "Manifest",
        "label": {"de": ["18200123"]},
        "metadata": [{"label": {"de": ["Gewicht"]}, "value": {"de": ["3,87 g"]}}],
        "rights": "http://creativecommons.org/publicdomain/zero/1.0/",
        "items": [canvas(3, "Vorderseite"), canvas(4, "Rückseite")],
    }


def linked_art(base: str) -> dict[str, Any]:
    """A coin as Linked Art models one, its reverse described as a part of it."""

    def term(number: str, label: str) -> dict[str, Any]:
        return {"id": f"http://vocab.getty.edu/aat/{number}", "type": "Type", "_label": label}

    def shown(number: int, more: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        digital = {"type": "DigitalObject", "access_point": [{"id": f"{base}/images/{number}.jpg"}], **(more or {})}
        return [{"type": "VisualItem", "digitally_shown_by": [digital]}]

    def measured(kind: dict[str, Any], value: float, unit: dict[str, Any]) -> dict[str, Any]:
        return {"type": "Dimension", "classified_as": [kind], "value": value, "unit": unit}

    return {
        "@context": "https://linked.art/ns/v1/linked-art.json",
        "id": f"{base}/object/1",
        "type": "HumanMadeObject",
        "_label": "Denarius",
        "classified_as": [{"id": "http://numismatics.org/crro/id/rrc-44.5", "type": "Type", "_label": "RRC 44/5"}],
        "identified_by": [
            {"type": "Name", "content": "Denarius of Rome"},
            {"type": "Identifier", "content": "1944.100.45", "classified_as": [term("300312355", "Accession Number")]},
        ],
        "dimension": [
            measured(term("300056240", "weight"), 3.87, term("300379226", "grams")),
            measured(term("300055624", "diameter"), 1.8, term("300379098", "centimeters")),
        ],
        "made_of": [{"id": "http://vocab.getty.edu/aat/300011029", "type": "Material", "_label": "silver (metal)"}],
        "member_of": [{"id": f"{base}/set/1", "type": "Set", "_label": "Roman Republic"}],
        "referred_to_by": [
            {"type": "LinguisticObject", "content": "Ex Hess", "classified_as": [term("300435438", "Provenance")]}
        ],
        "representation": shown(3, {"_label": "Obverse"}),
        "part": [{"type": "HumanMadeObject", "_label": "Reverse", "representation": shown(4)}],
    }


def nomisma(base: str) -> dict[str, Any]:
    """A coin as Nomisma asks for it, its sides described elsewhere in the document."""
    return {
        "@context": {"nmo": "http://nomisma.org/ontology#", "foaf": "http://xmlns.com/foaf/0.1/"},
        "@graph": [
            {
                "@id": f"{base}/id/1944.100.45",
                "@type": ["nmo:NumismaticObject"],
                "dcterms:title": "Denarius of Rome",
                "dcterms:identifier": "1944.100.45",
                "nmo:hasCollection": {"@id": "nm:ans"},
                "nmo:hasTypeSeriesItem": {"@id": "http://numismatics.org/crro/id/rrc-44.5"},
                "nmo:hasWeight": {"@value": "3.87", "@type": "xsd:decimal"},
                "http://nomisma.org/ontology#hasAxis": [{"@value": 6}],
                "nmo:hasMaterial": {"@id": "nm:ar"},
                "nmo:hasObverse": {"@id": f"{base}/id/1944.100.45#obverse"},
                "nmo:hasReverse": {"@id": "_:rev", "foaf:depiction": {"@id": f"{base}/images/2.jpg"}},
            },
            {"@id": f"{base}/id/1944.100.45#obverse", "foaf:depiction": [{"@id": f"{base}/images/1.jpg"}]},
        ],
    }


def test_records_of_museums_in_linked_data_are_understood(rig: Rig, empty_lab: Path, folder: Path) -> None:
    for made, number in ((nomisma, 1), (linked_art, 3)):
        (lot,) = read_linked(made("https://museum.example")).lots
        assert (lot.coin, lot.details.weight_g) == ("1944.100.45", 3.87)
        assert lot.details.type_uri == "http://numismatics.org/crro/id/rrc-44.5"
        assert [(image.side, image.name[-5]) for image in lot.images] == [
            ("obverse", str(number)), ("reverse", str(number + 1)),
        ]  # fmt: skip
    assert (lot.sale, lot.details.diameter_mm, lot.details.metal) == ("Roman Republic", 18.0, "silver (metal)")
    assert lot.details.provenance == "Ex Hess"
    elsewhere = linked_art("https://museum.example") | {
        "representation": [{"id": "https://museum.example/v"}],
        "part": [],
    }
    (wrong,) = read_linked([elsewhere]).wrong
    assert wrong.startswith("object 1 (1944.100.45): it has no image")
    (folder / "hess.json").write_text(json.dumps([{"lot": 231, "image": "images/1.jpg", "weight": 3.87, "date": 1936}]))
    assert rig("catalogue", "add", folder / "hess.json", "--sale", "Hess", "--lab", empty_lab).code == 0
    assert rig("catalogue", "export", folder / "out", "--lab", empty_lab).code == 0
    (again,) = read_linked(json.loads((folder / "out" / "nomisma.jsonld").read_text())).lots
    assert (again.coin, again.sale, again.details.weight_g, len(again.images)) == ("lot 231", "Hess", 3.87, 2)


@pytest.mark.parametrize("make", [version_2, version_3, linked_art, nomisma])
@pytest.mark.parametrize(
    "junk", [None, 7, "x", [], {}, [7], [[]], [{}], {"x": [7]}, {"id": "http://localhost/object/1"}]
)
def test_whatever_a_document_holds_it_is_read_or_refused(make: Callable[[str], dict[str, Any]], junk: object) -> None:
    def damaged(value: Any) -> Iterator[Any]:
        """The document with one of its values replaced, each in turn."""
        yield junk
        if isinstance(value, dict):
            for key, each in value.items():
                yield from ({**value, key: other} for other in damaged(each))
        if isinstance(value, list):
            for place, each in enumerate(value):
                yield from ([*value[:place], other, *value[place + 1 :]] for other in damaged(each))

    for document in damaged(make("http://localhost")):
        with suppress(LabError):
            if is_manifest(document):
                read_manifest(document, ColumnMapping())
            elif is_linked(document):
                read_linked(document)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1936-03-18 00:00:00", "1936-03-18"),
        ("18.3.1936", "1936-03-18"),
        ("18 March 1936", "1936-03-18"),
        ("March 18th, 1936", "1936-03-18"),
        ("18.-19. März 1936", "1936-03-18"),
        ("mars 1936", "1936-03"),
        ("1936", "1936"),
        ("13227", "1936-03-18"),
        ("31/12/1936", "1936-12-31"),
        ("3/4/1936", None),
        ("31.2.1936", None),
        ("soon", None),
        ("1036", None),
    ],
)
def test_dates_as_people_write_them(text: str, iso: str | None) -> None:
    if iso is not None:
        assert read_date(text) == iso
    else:
        with pytest.raises(ValueProblem):
            read_date(text)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("weight_g", "3,87 g", 3.87),
        ("weight_g", "ca. 1.250,5 mg", 1.2505),
        ("weight_g", "60 grains", None),
        ("weight_g", "-3", None),
        ("weight_g", "0", None),
        ("diameter_mm", "1,8 cm", 18.0),
        ("diameter_mm", "18 - 19.5mm", 19.5),
        ("axis_h", "12h", 12.0),
        ("axis_h", "0°", 12.0),
        ("axis_h", "13", None),
        ("url", "javascript:alert(1)", None),
        ("weight_g", "n/a", "nothing"),
    ],
)
def test_measures_as_people_write_them(field: str, text: str, value: object) -> None:
    if value is None:
        with pytest.raises(ValueProblem, match=field.split("_")[0]):
            read_details({field: text})
    else:
        assert read_details({field: text}).known() == ({} if value == "nothing" else {field: value})
