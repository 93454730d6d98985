"""Word to whoever is not there, over loopback: `notify:` of rig.yaml."""

from __future__ import annotations

import functools
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from capture.store.journal_lines import NotificationSent
from tests.pipeline.conftest import SHORT_PLAN, Rig, with_faults
from tests.pipeline.scanning.test_batch import BATCH, configure, journal
from tests.processes import Command

PASSWORD = "Aes grave"


def hang_in_the_third_image(until: Path) -> None:
    """The camera's driver hangs until there is such a file; so short a stall counts here."""
    from capture.cameras.twin import TwinCamera
    from pipeline.scanning import monitor

    images, grab = itertools.count(1), TwinCamera.grab

    def hang(camera: TwinCamera) -> Any:
        hangs = next(images) == 3
        while hangs and not until.exists():
            time.sleep(0.05)
        return grab(camera)

    TwinCamera.grab = hang  # type: ignore[method-assign]
    monitor.STALLED_S = 0.5


@dataclass
class Hook:
    """A web server that is notified, refusing as often as asked."""

    url: str = ""
    refuse: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    notified = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if notified.refuse:
                notified.refuse -= 1
                self.send_error(503)
                return
            notified.bodies.append(body)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    notified.url = f"http://127.0.0.1:{server.server_port}/rig/secret"
    yield notified
    server.shutdown()
    server.server_close()


@dataclass
class Post:
    """A mail server and what it was given."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    users: list[str] = field(default_factory=list)


@pytest.fixture
def post() -> Iterator[Post]:
    given = Post(port=free_port())

    class Handler:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            assert isinstance(envelope.content, bytes)
            given.mails.append(message_from_bytes(envelope.content))
            return "250 OK"

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given.users.append(data.login.decode())
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    controller = Controller(
        Handler(), hostname="127.0.0.1", port=given.port, authenticator=login, auth_require_tls=False
    )
    controller.start()
    yield given
    controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def email(port: int, security: str = "none") -> str:
    return (
        f"email: {{to: [technician@lab.example], from: rig@lab.example, host: 127.0.0.1, port: {port}, "
        f"security: {security}, user: rig, password_env: LAB_MAIL}}"
    )


def test_a_try_reaches_webhook_and_mailbox(rig: Rig, lab: Path, hook: Hook, post: Post) -> None:
    hook.refuse = 1
    configure(lab, f"notify: {{webhook: '{hook.url}', {email(post.port)}}}")
    ran = rig("notify", "--lab", lab, "--json", LAB_MAIL=PASSWORD)
    assert ran.code == 0, ran.out + ran.err
    assert ran.json == [{"channel": name, "ok": True, "why": None} for name in ("webhook", "email")]
    assert [body["what"] for body in hook.bodies] == ["test"], "refused once, tried again"
    assert post.users == ["rig"]
    (mail,) = post.mails
    assert mail["To"] == "technician@lab.example" and mail["From"] == "rig@lab.example"
    assert "test" in mail["Subject"] and "rig notify" in str(mail.get_payload())


@pytest.mark.parametrize(
    ("channel", "password", "why"),
    [
        ("webhook: 'http://127.0.0.1:{closed}/rig/secret'", PASSWORD, "cannot be reached"),
        ("{email}", "", "LAB_MAIL with the password is not set"),
        ("{email}", "wrong", "535"),
        ("{starttls}", PASSWORD, "STARTTLS"),
    ],
    ids=["nobody listens", "no password", "wrong password", "no encryption where it is asked for"],
)
def test_what_is_not_delivered_is_reported_with_the_reason(
    rig: Rig, lab: Path, post: Post, channel: str, password: str, why: str
) -> None:
    channel = channel.format(closed=free_port(), email=email(post.port), starttls=email(post.port, "starttls"))
    configure(lab, f"notify: {{{channel}}}")
    ran = rig("notify", "--lab", lab, **({"LAB_MAIL": password} if password else {}))
    assert ran.code == 1
    assert why in ran.err and "rig.yaml" in ran.err and "Traceback" not in ran.err
    assert "secret" not in ran.out + ran.err, "a webhook's address is often its password"
    assert not post.mails


def test_it_says_if_nobody_is_to_be_notified(rig: Rig, lab: Path) -> None:
    ran = rig("notify", "--lab", lab)
    assert ran.code == 1 and "names nobody" in ran.err


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("batch", "--trays", 1), id="batch", marks=pytest.mark.slow),
        pytest.param(("scan", "--tray", 1), id="scan"),
    ],
)
def test_a_run_in_which_nothing_happens_any_more_raises_an_alarm(
    rig: Rig, tiny_lab: Path, hook: Hook, command: tuple[object, ...]
) -> None:
    configure(tiny_lab, f"notify: {{webhook: '{hook.url}'}}")
    hang = functools.partial(hang_in_the_third_image, tiny_lab / "continue")
    night = Command(*command, "--no-identify", "--lab", tiny_lab, before=hang)
    deadline_s = time.monotonic() + 60
    while (seen := rig("status", "--lab", tiny_lab, "--json").json)["alarm"] is None:
        assert night.poll() is None and time.monotonic() < deadline_s, night.err
    assert "Nothing has happened for" in seen["alarm"] and "Look at the rig" in seen["alarm"]
    (tiny_lab / "continue").touch()
    assert night.wait(60) == 0
    troubles = [body["text"] for body in hook.bodies if body["what"] == "trouble"]
    assert troubles and all("nothing has happened" in text for text in troubles)
    ended = rig("status", "--lab", tiny_lab, "--json").json
    assert ended["alarm"] is None and ended["status"]["stalled_since"] is None
    assert "nothing has happened" in Path(ended["status"]["log"]).read_text()


def test_a_scan_that_fails_notifies_and_one_that_is_finished_does_not(rig: Rig, short_lab: Path, hook: Hook) -> None:
    configure(short_lab, f"notify: {{webhook: '{hook.url}'}}")
    document = (short_lab / "rig.yaml").read_text()
    with_faults(short_lab, "{kind: unplugged, device: turntable, after_messages: 20}")
    scan = ("scan", "--tray", 1, "--no-identify", "--lab", short_lab)
    assert rig(*scan).code == 1
    (failed,) = hook.bodies
    assert failed["what"] == "end" and failed["subject"].startswith("lab, tray 1: The scan of tray 1 failed")
    assert "turntable" in failed["text"] and failed["status"]["ended"]["state"] == "failed"
    (short_lab / "rig.yaml").write_text(document)
    assert rig(*scan).code == 0
    assert len(hook.bodies) == 1, "somebody is at the bench"


@pytest.mark.slow
def test_a_night_tells_of_trouble_and_of_its_end_whether_or_not_it_gets_through(
    rig: Rig, lab: Path, hook: Hook
) -> None:
    (lab / "plans" / "default.yaml").write_text(SHORT_PLAN)
    with_faults(lab, "{kind: unplugged, device: turntable, after_messages: 20}")
    configure(lab, f"notify: {{webhook: '{hook.url}', heartbeat_min: 0.02, {email(free_port())}}}")
    dry = rig(*BATCH, "--dry-run", "--lab", lab, "--json")
    assert dry.json["notify"] == ["webhook", "email"]
    ran = rig(*BATCH, "--lab", lab, LAB_MAIL=PASSWORD)
    assert ran.code == 1 and "turntable" in ran.err
    bodies = {body["what"]: body for body in hook.bodies}
    assert set(bodies) == {"heartbeat", "trouble", "end"}
    assert "Tray 2: not begun" in bodies["trouble"]["text"]
    assert "failed" in bodies["end"]["subject"] and "turntable" in bodies["end"]["text"]
    assert bodies["end"]["status"]["ended"]["state"] == "failed"
    notified = {(line.channel, line.what, line.ok) for line in journal(lab, NotificationSent)}
    assert {("webhook", "trouble", True), ("webhook", "end", True), ("email", "end", False)} <= notified
