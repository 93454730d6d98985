"""Trays are filled from the tables that people keep, checked on the page before anything is written."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from tests.pipeline.serve.conftest import Open, Served

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
TABLE = f"""\
Tablett;Platz;Inventarnummer
7;2;2030.10
7;1;{HOSTILE}
8;1;1994.1
"""


def send(page: Served, data: bytes, name: str = "trays.csv", **headers: str) -> httpx.Response:
    headers = {"Origin": page.address, "Content-Type": "application/octet-stream"} | headers
    return httpx.post(f"{page.address}/trays/read", params={"name": name}, content=data, headers=headers)


def workbook(*lines: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def test_a_table_is_read_and_nothing_is_written(served: Served) -> None:
    before = {path: path.read_bytes() for path in served.lab.glob("trays/*")}
    read = send(served, TABLE.encode()).json()
    assert [(each["tray"], each["slots"], each["is_replaced"]) for each in read["trays"]] == [
        ("7", {"2": "2030.10", "1": HOSTILE}, False),
        ("8", {"1": "1994.1"}, False),
    ]
    assert read["may_lack_zeros"] is None
    in_order = send(served, workbook(["Coin", "weight"], ["a", 3.2], [2024.1, 3], [17, None]), "book.xlsx").json()
    assert in_order["trays"][0]["tray"] is None
    assert in_order["trays"][0]["slots"] == {"1": "a", "2": "2024.1", "3": "17"}
    assert in_order["may_lack_zeros"] == "2024.1", "Excel may have dropped a zero"
    there = send(served, b"tray,slot,coin\n1,1,x\n").json()["trays"][0]
    assert there["is_replaced"] and there["coins"] == 3
    assert {path: path.read_bytes() for path in served.lab.glob("trays/*")} == before


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"weight\n3\n", "Name it `coin`"),
        (b"slot,coin\n1,a\n1,b\n", "line 3: slot 1 has a already"),
        (b"slot,coin\n0,a\n", "line 2: slot 0"),
        (b"slot,coin\n9999999,a\n", "line 2"),
        (b"tray,coin\n,a\n", "line 2: it names no tray"),
        (b"PK\x03\x04nothing", "damaged Excel workbook"),
        (b"coin\n\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_by_its_line(served: Served, data: bytes, why: str) -> None:
    answer = send(served, data, "../<b>x\u202e.csv")
    assert answer.status_code == 400 and why in answer.json()["error"], answer.text
    assert "\u202e" not in answer.json()["error"]


def test_a_workbook_that_unpacks_without_end_and_another_sites_table_are_refused(served: Served) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/worksheets/sheet1.xml", b" " * 40_000_000)
    assert "would unpack to 40 MB" in send(served, data.getvalue()).json()["error"]
    assert send(served, b"coin\na\n", **{"Content-Type": "text/plain"}).status_code == 400
    assert send(served, b"coin\na\n", Origin="https://evil.example").status_code == 403
    assert served.get("/trays/read").status_code == 405


@pytest.mark.slow
def test_trays_are_filled_from_a_table_and_moved_with_a_finger(
    own_page: Served, tmp_path: Path, open_page: Open
) -> None:
    table = tmp_path / "trays.csv"
    table.write_text(TABLE)
    page = open_page(own_page.address + "/trays", has_touch=True)
    page.locator("#tables").set_input_files(table)
    page.locator("#read td", has_text="a new tray").first.wait_for()
    page.locator("#write").click()
    page.locator("#write", has_text="Write them all the same").wait_for()
    assert "1994.1 (tray 1, slot 1;" in page.locator("#status").inner_text()
    page.locator("#write").click()
    page.get_by_text("Coin 1994.1 is on two trays").wait_for()
    assert page.title() != "owned"
    page.goto(own_page.address + "/tray?name=7")
    values = page.locator(".slot input")
    assert values.nth(0).input_value() == HOSTILE and values.nth(1).input_value() == "2030.10"
    handles = [page.locator(".slot .handle").nth(number).bounding_box() for number in (1, 4)]
    places = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2} for box in handles]
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": places[:1]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": places[1:]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("() => document.querySelectorAll('.slot input')[4].value === '2030.10'")
    page.locator("#table").set_input_files({"name": "x.csv", "mimeType": "", "buffer": b"coin\n2031.1\n1994.2\n"})
    page.locator("#status", has_text="2 coins were read").wait_for()
    assert page.locator("#status").inner_text().endswith(f"These slots held others: 1 ({HOSTILE}).")
    assert values.nth(0).input_value() == "2031.1" and values.nth(4).input_value() == "2030.10", (
        "not in the table: kept"
    )
    assert "also on tray 1, slot 2" in page.locator(".note").nth(1).inner_text()
    page.locator("#save").click()
    page.locator("#save", has_text="Save all the same").click()
    page.locator("#status", has_text="is saved").wait_for()
    assert "1: 2031.1" in (own_page.lab / "trays" / "7.yaml").read_text()


TWICE = b"tray;slot;coin\n11;1;2030.5\n12;3;2030.5\n13;1;2024,10\n"


@pytest.mark.slow
def test_trays_of_a_table_are_written_all_or_none(own_page: Served) -> None:
    read = send(own_page, TWICE).json()
    assert read["twice"] == [{"coin": "2030.5", "places": [{"tray": "11", "slot": 1}, {"tray": "12", "slot": 3}]}]
    assert read["has_comma"] == "2024,10"
    trays = [{"name": each["tray"], "digest": each["digest"], "slots": each["slots"]} for each in read["trays"]]
    stale = [*trays[::2], {"name": "1", "digest": "", "slots": {"1": "a"}}]
    for refused, status in (({"trays": trays}, 409), ({"trays": stale}, 400), ({"trays": []}, 400)):
        assert own_page.post("/trays", refused).status_code == status
    assert sorted(path.stem for path in own_page.lab.glob("trays/1?.yaml")) == []
    assert own_page.post("/trays", {"trays": trays, "may_be_elsewhere": True}).status_code == 200
    assert sorted(path.stem for path in own_page.lab.glob("trays/1?.yaml")) == ["11", "12", "13"]


@pytest.mark.slow
def test_what_is_wrong_with_a_table_is_shown_before_anything_is_written(own_page: Served, open_page: Open) -> None:
    page = open_page(own_page.address + "/trays")
    table = {"name": "trays.csv", "mimeType": "", "buffer": TWICE}
    page.locator("#tables").set_input_files(table)
    page.locator("#notes", has_text="2030.5 would be on two trays: tray 11, slot 1, tray 12, slot 3.").wait_for()
    assert "2024,10 has a comma" in page.locator("#notes").inner_text()
    large = {"name": "large.csv", "mimeType": "", "buffer": b"x" * 1_000_001}
    page.locator("#tables").set_input_files(large)
    page.locator("#status", has_text="At most 1 MB").wait_for()
    assert not page.locator("#read").is_visible() and not page.locator("#write").is_visible()
    assert page.locator("#notes").inner_text() == "", "nothing of the former table is left"
    page.locator("#tables").set_input_files(table)
    page.locator("#write").click()
    page.locator("#write", has_text="Write them all the same").wait_for()
    assert not list(own_page.lab.glob("trays/1?.yaml"))
    page.locator("#write").dblclick()
    page.get_by_text("Slot 3: coin 2030.5 is on another tray too.").wait_for()
    page.goto(own_page.address + "/tray?name=11")
    page.locator("#table").set_input_files(table)
    page.locator("#status", has_text="Lines for other trays were left out: 12 (1), 13 (1).").wait_for()
