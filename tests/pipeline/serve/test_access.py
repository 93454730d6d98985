"""Who may use the page: this computer, whoever has the token, and nobody else's pages."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from capture.store.quarantine import QuarantineReason
from pipeline.serve.texts import LANGUAGES, _read
from tests.pipeline.conftest import Scanned
from tests.pipeline.serve.conftest import Served, serving
from tests.processes import run

DECISION = {"coin": "1994.1", "entry": "1994.1", "decision": "same coin"}
TOKEN = "a token of many letters"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "path", ["/review", "/review/item?session=x&coin=y", "/images/frame/0?size=640", "/static/page.css"]
)
def test_another_sites_page_reads_nothing(served: Served, path: str) -> None:
    assert served.get(path, Host="evil.example").status_code == 403, "a name that was led to this computer"
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert served.get(path, **foreign).status_code == 403
    answer = served.get("/review")
    assert answer.status_code == 200 and "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
    ],
)
def test_another_sites_page_changes_nothing(served: Served, headers: dict[str, str]) -> None:
    assert served.post("/review/decide", DECISION, **headers).status_code in (400, 403)
    assert httpx.post(f"{served.address}/review/decide", json=DECISION).status_code == 403, "no origin at all"
    assert served.get("/review/decide").status_code == 405, "nothing is changed by GET"
    assert run("reviews", "--lab", served.lab, "--json").json == []


def test_websockets_are_refused(served: Served) -> None:
    shake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for origin in ("https://evil.example", served.address):
        assert served.get("/review", **shake, Origin=origin).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/images/frame/..%2f..%2fstatus.json",
        "/images/frame/%00",
        "/images/entry/-1",
        "/images/entry/99999999999999999999999",
        "/images/evidence?session=..%2F..&coin=..&side=..%2Fx",
    ],
)
def test_no_path_leads_out_of_the_page(served: Served, path: str) -> None:
    with socket.create_connection((served.host.split(":")[0], int(served.host.split(":")[1]))) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {served.host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.split()[1] in (b"400", b"404"), answer[:200]
    assert b"Traceback" not in answer


def test_a_large_request_is_not_read(served: Served) -> None:
    assert served.post("/review/decide", {"why": "x" * 2_000_000}).status_code == 413
    chunks = httpx.post(f"{served.address}/review/decide", content=iter([b"{}"]), headers={"Origin": served.address})
    assert chunks.status_code == 413


def test_with_a_token_nothing_is_shown_before_it_is_given(scanned: Scanned) -> None:
    with serving(scanned.lab, "--token", RIG_TOKEN=TOKEN) as page:
        assert TOKEN not in page.process.err + page.process.out, "it is known to whoever set it"
        assert page.get("/review").status_code == 401
        assert page.get("/review", Cookie="coinlab=guess").status_code == 401
        assert page.get("/review", Accept="text/html").headers["location"] == "/login"
        with httpx.Client(base_url=page.address, headers={"Origin": page.address}) as client:
            assert client.post("/login", data={"token": "wrong"}).status_code == 403
            assert client.get("/review").status_code == 401
            assert client.post("/login", data={"token": TOKEN}).status_code == 303
            assert client.get("/review").status_code == 200
            (cookie,) = client.cookies.jar
            assert cookie.has_nonstandard_attr("HttpOnly") and TOKEN not in str(cookie.value)
            refused = client.post("/review/decide", json=DECISION, headers={"Origin": "https://evil.example"})
            assert refused.status_code == 403
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(20) == 0, page.process.err


def test_other_computers_reach_it_by_tls_alone(scanned: Scanned) -> None:
    asked = run("serve", "--lab", scanned.lab, "--host", "0.0.0.0", "--port", 0)
    assert asked.code == 2 and "--certificate" in asked.err
    short = run("serve", "--lab", scanned.lab, "--token", "--port", 0, env={"RIG_TOKEN": "short"})
    assert short.code == 2 and "16 letters" in short.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = run("serve", "--lab", scanned.lab, "--port", taken.getsockname()[1])
        assert busy.code == 1 and "another --port" in busy.err
    odd = run("serve", "--lab", scanned.lab, "--port", 0, "--certificate", os.devnull, "--key", os.devnull)
    assert odd.code == 1 and "PEM" in odd.err and "Traceback" not in odd.err


@pytest.mark.slow
def test_the_certificate_of_the_documentation_is_one_that_browsers_take(
    scanned: Scanned, tmp_path: Path, browser: Any
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this computer")
    recipe = re.search(r"^openssl req .*$", (ROOT / "docs" / "page.md").read_text(), re.M)
    assert recipe is not None
    subprocess.run(recipe[0].split(), cwd=tmp_path, check=True, capture_output=True)
    own = ("--certificate", tmp_path / "page.crt", "--key", tmp_path / "page.key")
    with serving(scanned.lab, "--host", "0.0.0.0", *own) as served:
        host, _, port = served.host.rpartition(":")
        assert host == socket.gethostname(), "an address that can be opened elsewhere"
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"https://127.0.0.1:{port}/")
        assert page.locator("input[name=token]").is_visible()
        context.close()


def test_every_language_has_every_text() -> None:
    texts = {language: _read(language) for language in LANGUAGES}
    assert {name: set(each) ^ set(texts["en"]) for name, each in texts.items()} == {each: set() for each in LANGUAGES}


def test_every_reason_for_quarantine_has_its_text() -> None:
    assert [reason for reason in QuarantineReason if f"script.quarantine.{reason}" not in _read("en")] == []


def test_a_lab_whose_disk_is_gone_is_not_begun_again(own_page: Served) -> None:
    away = own_page.lab.rename(own_page.lab.with_name("away"))
    decision = {"coin": "1994.1", "entry": "1994.1", "decision": "same coin"}
    tray = {"name": "9", "digest": "", "slots": {"1": "a"}}
    for answer in (own_page.get("/review"), own_page.post("/review/decide", decision), own_page.post("/tray", tray)):
        assert answer.status_code == 503 and "is not there any more" in answer.json()["error"]
    assert not own_page.lab.exists(), "nothing is written where its disk is mounted"
    away.rename(own_page.lab)
    assert own_page.get("/review/queue?only=all").json()["total"] > 0
    (own_page.lab / "store").rename(own_page.lab / "away")
    answer = own_page.post("/review/decide", decision)
    assert answer.status_code == 400 and "Nothing was written" in answer.json()["error"]
    assert not (own_page.lab / "store").exists()


@pytest.mark.slow
def test_a_lab_that_has_nothing_yet_is_served(made_lab: Path, tmp_path: Path) -> None:
    run("init", "--collection", "--lab", tmp_path / "new")
    with serving(tmp_path / "new") as page:
        assert page.get("/", Accept="text/html").status_code == 303
        assert "Nothing here needs a look" in page.get("/review").text
        assert "Hier ist nichts zu prüfen" in page.get("/review", **{"Accept-Language": "de-AT,en;q=0.5"}).text
        assert getpass.getuser() in page.get("/review").text
        assert page.get("/images/entry/1").status_code == 400
