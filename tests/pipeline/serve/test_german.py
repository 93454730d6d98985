"""The page speaks German throughout: its own texts, and what the program says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from capture.store import Store
from capture.store.journal_lines import (
    BatchBegan,
    BatchSession,
    CoinSkipped,
    CoinWeighed,
    DeviceFailed,
    Lifting,
    MatchRejected,
    NotIdentified,
)
from capture.store.quarantine import QuarantineReason
from capture.store.records import Photograph
from pipeline.serve.sentences import SENTENCE_KEYS, translate
from pipeline.serve.texts import texts_of
from tests.pipeline.serve.conftest import Served

ROOT = Path(__file__).parents[3]
# English words that are no German ones; what stands in backticks is typed, not read.
WORDS = r"the|is|were|are|of|and|its|has|have|with|then|again|been|from|for|your|this|that|last"
ENGLISH = re.compile(rf"\b({WORDS})\b", re.I)
ATTRIBUTES = ("alt", "aria-label", "placeholder", "title")
SLOT = re.compile(r"\{\w+(?::[snw])?\}")


class Reader(HTMLParser):
    """What a person reads of a page, and the data that its scripts show."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.data: list[tuple[str, Any]] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.texts += [str(found[name]) for name in ATTRIBUTES if found.get(name)]
        if tag in ("script", "code"):
            self._within = [tag, str(found.get("id"))]
        elif found.get("lang") == "en" and tag == "option":
            self._within = ["code", ""]

    def handle_endtag(self, tag: str) -> None:
        self._within = []

    def handle_data(self, data: str) -> None:
        match self._within:
            case ["script", name] if data.strip():
                self.data.append((name, json.loads(data)))
            case []:
                self.texts.append(data)


def sentences_in(data: Any, is_sentence: bool = False) -> Iterator[str]:
    match data:
        case str() if is_sentence:
            yield data
        case dict():
            for key, value in data.items():
                yield from sentences_in(value, key in SENTENCE_KEYS)
        case list():
            for value in data:
                yield from sentences_in(value, is_sentence)


def is_english(text: str) -> bool:
    return ENGLISH.search(re.sub(r"`[^`]*`|\S*/\S*", "", text)) is not None


def need_everything(page: Served) -> str:
    """Make something of each kind that the program says happen in a lab; its scan's session."""
    with Store.open(page.lab / "store") as store:
        (session,) = store.sessions.find("scan")
        store.journal.log(BatchBegan(batch="b1", trays=("1", "9"), plan="default"))
        store.journal.log(BatchSession(batch="b1", tray="1"), session.id)
        wrong = "It does not look like earlier images of that coin. It measures 17.3 mm, and that coin measured 19 mm."
        for slot, coin, other in ((1, "1994.1", "1994.2"), (2, "1994.2", "1994.1")):
            skipped = CoinSkipped(slot=slot, coin=coin, reason="wrong coin", why=wrong, looks_like=other)
            store.journal.log(skipped, session.id)
        lost = "the connection was lost (Input/output error)."
        plug = "Plug the cable in again, then run the same command: nothing that was stored is lost."
        for _ in range(3):
            failed = DeviceFailed(device="turntable on /dev/ttyUSB0", problem=lost, remedy=plug)
            store.journal.log(failed, session.id)
        full = "the disk is full (/x). Free some space, then give the same command again."
        store.journal.log(NotIdentified(coin="1994.3", why=full), session.id)
        store.journal.log(Lifting(slot=3, coin="1994.3"), session.id)
        store.journal.log(CoinWeighed(coin="1994.1", grams=3.79, who="Anna"))
        ranking = store.rankings.latest(session.id, "1994.1")
        assert ranking is not None
        entries = (ranking.candidates[0].entry_id,)
        rejected = MatchRejected(coin="1994.1", entries=entries, who="Anna", why="Das Leder, wohl; blur")
        store.journal.log(rejected, session.id)
        image = store.path(store.catalogue.entries("1994.1")[0].sha256).read_bytes()
        blurred = Photograph("1994.1", image, "a.jpg", "obverse", quarantine_reasons=(QuarantineReason.BLUR,))
        store.frames.add_photographs(store.sessions.begin_import("phone").id, [blurred])
    (page.lab / "trays" / "broken.yaml").write_text("slots: {1: a, 2: a}\n")
    return session.id


def test_every_page_is_in_german(own_page: Served) -> None:
    session = need_everything(own_page)
    asked = [
        "/review?only=all",
        "/review?only=quarantined",
        *(f"/collection?what={what}" for what in ("coins", "frames", "entries", "sales", "sessions")),
        "/coin?name=1994.1",
        f"/session?{urlencode({'id': session})}",
        *("/morning", "/bench", "/trays", "/tray?name=1", "/tray?name=broken", "/rounds", "/setup", "/login"),
        *("/coin?name=nobody", "/session?id=x", "/nothing", "/morning?batch=x"),
    ]
    english = {text for name, text in texts_of("en").items() if " " in text and texts_of("de")[name] != text}
    for path in asked:
        read = Reader()
        read.feed(own_page.get(path, Cookie="language=de", Accept="text/html").text)
        sentences = [text for name, data in read.data if name != "texts" for text in sentences_in(data)]
        shown = [" ".join(text.split()) for text in [*read.texts, *sentences]]
        assert [text for text in shown if text in english or is_english(text)] == [], path
        assert len(read.texts) > 20, path
    morning = own_page.get("/morning", Cookie="language=de").text
    assert "Münzen 1994.1 und 1994.2 sind vertauscht" not in morning and "Platz 1 und 2 sind vertauscht" in morning
    assert "Es hat 3 Mal versagt" in morning and "Stecken Sie das Kabel wieder ein" in morning
    coin = own_page.get("/coin?name=1994.1", Cookie="language=de").text
    assert "gewogen von Anna" in coin and "3,79 g" in coin and "Das Leder, wohl; blur" in coin, (
        "persons speak for themselves"
    )
    assert re.search(r'class="number">\d+,\d{3}<', coin) and not re.search(r'class="number">\d+\.', coin)
    assert "It failed 3 times" in own_page.get("/morning").text, "and English where that is read"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("2 of 3 coins done, 1 thing needs you.", "2 von 3 Münzen fertig, 1 Sache ist zu tun."),
        ("Still running: 2 of 9 coins done so far.", "Läuft noch: bisher 2 von 9 Münzen fertig."),
        ("blur (2 takes), dark (1 take)", "unscharf (2 Versuche), zu dunkel (1 Versuch)"),
        ("12 to 20 min", "12 bis 20 min"),
        ("Began 2026-11-28 14:03 UTC, last seen 2026-11-28 14:30 CET",
         "Begonnen 28.11.2026 14:03 UTC, zuletzt gesehen 28.11.2026 14:30 CET"),
        ("Nobody wrote this down. Run `rig home`.", "Nobody wrote this down. Starten Sie `rig home`."),
        ("Put coin <b>{x}</b> into the slot, obverse up; all its shots were taken before.",
         "Legen Sie Münze <b>{x}</b> auf den Platz, Vorderseite nach oben; alle ihre Aufnahmen sind schon da."),
        ("2024.10.1", "2024.10.1"),
        ("1.2 is not the coin of Sale 9, lot 137, obverse; Sale 9, lot 137, reverse.",
         "1.2 ist nicht die Münze von Sale 9, lot 137, Vorderseite; Sale 9, lot 137, Rückseite."),
        ("a. " * 600, "a. " * 600),
        (": x" * 600, ": x" * 600),
        ("Coins a and b are swapped: c is in d, " * 50, "Coins a and b are swapped: c is in d, " * 50),
    ],
)  # fmt: skip
def test_a_sentence_of_the_program_is_translated(english: str, german: str) -> None:
    assert translate(english, "de") == german and translate(english, "en") == english


def test_each_sentence_is_one_that_the_program_says() -> None:
    """Else it was reworded, and its German is never found."""
    source = "\n".join(
        path.read_text()
        for room in ("rig", "capture", "calibration", "models", "pipeline")
        for path in (ROOT / room).rglob("*.py")
    )
    source = re.sub(r"""(["'])\s*\n\s*f?(["'])""", "", source)  # literals that are written on several lines
    pairs = yaml.safe_load((files("pipeline.serve") / "texts" / "sentences.de.yaml").read_text("utf-8"))
    for english, german in pairs:
        assert set(SLOT.findall(german)) <= set(SLOT.findall(english)), english
        for part in SLOT.split(english):
            for words in re.split(r"[.!?;:,](?: |$)", part):
                listed = words.strip(" (").split()
                runs = [
                    " ".join(listed[at : at + 4]) for at in range(max(1, len(listed) - 3))
                ]  # it may be put together
                assert len(listed) < 6 or any(run in source for run in runs), f"{words!r} of {english!r}"
