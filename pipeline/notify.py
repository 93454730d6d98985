"""Notifying somebody who is not there: by webhook and e-mail, of trouble, of a failure, and of the end of a batch.

Everything is sent from a thread of its own, with timeouts and a few tries, so that neither a dead network nor a wrong
address holds up a scan. What came of each message is written to the journal.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
TRIES = 3
PAUSE_S = 1.0  # before the second try; twice as long before the third
GATHER_S = 300.0  # after one message of trouble, what follows is gathered this long
FOR_GOOD = (  # the next try would meet with the same
    smtplib.SMTPAuthenticationError,
    smtplib.SMTPNotSupportedError,
    ssl.SSLCertVerificationError,
    KeyError,
)
LAST_WORD_S = 90.0  # how long a batch that is over waits for its last messages

What = Literal["trouble", "end", "heartbeat", "test"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("this is no web address: it must begin with https:// or http://.")
    return url


class EmailConfig(BaseModel):
    """``notify: email:`` of rig.yaml. The password stands in an environment variable, never in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    to: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
    sender: str = Field(alias="from")
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_env: str = Field(default="RIG_SMTP_PASSWORD", description="the environment variable that holds it")


class NotifyConfig(BaseModel):
    """``notify:`` of rig.yaml: who is notified of trouble, of a scan that fails and of the end of a batch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: Annotated[str, AfterValidator(_address)] | None = None
    heartbeat_min: float | None = Field(default=None, gt=0, description="a sign of life to the webhook, this often")
    email: EmailConfig | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """``webhook`` and ``email``, whichever there are."""
        return tuple(name for name in ("webhook", "email") if getattr(self, name) is not None)


@dataclass(frozen=True)
class Sent:
    """What came of a message on one channel; `why` it was not delivered, None if it was."""

    channel: str
    what: What
    why: str | None

    @property
    def ok(self) -> bool:
        """Whether it was delivered."""
        return self.why is None


@dataclass(frozen=True)
class Deliveries:
    """What came of a message, channel by channel; empty if rig.yaml names nobody."""

    sent: tuple[Sent, ...]

    @property
    def are_all_delivered(self) -> bool:
        """Whether somebody was to be notified, and every channel delivered it."""
        return bool(self.sent) and all(each.ok for each in self.sent)

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [{"channel": each.channel, "ok": each.ok, "why": each.why} for each in self.sent]


@dataclass(frozen=True)
class Message:
    """One line to see at a glance, the text, and for programs the status as it is then."""

    what: What
    subject: str
    text: str
    status: dict[str, Any]


def send(config: NotifyConfig, message: Message) -> Iterator[Sent]:
    """Send a message over every channel that is set up for its kind, each tried a few times."""
    if config.webhook is not None:
        url = config.webhook
        yield Sent("webhook", message.what, _tried(lambda: _post(url, message)))
    if config.email is not None and message.what != "heartbeat":
        email = config.email
        yield Sent("email", message.what, _tried(lambda: _mail(email, message)))


def send_test(config: NotifyConfig, lab_name: str) -> Deliveries:
    """Send a test message over every channel, and see what comes of it."""
    text = (
        "This is a test by `rig notify`. You will be notified like this of trouble, of a scan that fails and of the "
        "end of a batch."
    )
    return Deliveries(tuple(send(config, Message("test", f"{lab_name}: a test", text, {}))))


class Notifier:
    """Sends messages from a thread of its own; a context manager that waits a while for the last messages.

    Parameters
    ----------
    config
        Whom to notify; with no channel nothing is sent.
    name
        What the messages are about: the lab and the batch.
    status
        Gives the status that goes along, as JSON.
    journal
        Called with what came of each message.
    """

    def __init__(
        self, config: NotifyConfig, name: str, status: Callable[[], dict[str, Any]], journal: Callable[[Sent], None]
    ) -> None:
        self._config = config
        self._name = name
        self._status = status
        self._journal = journal
        self._waiting: queue.Queue[tuple[What, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)

    def __enter__(self) -> Self:
        if self._config.channels:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(LAST_WORD_S)

    def trouble(self, line: str) -> None:
        """Report that something needs a person. Returns at once."""
        self._waiting.put(("trouble", line))

    def ended(self, text: str) -> None:
        """Report what it came to. Returns at once."""
        self._waiting.put(("end", text))

    def _work(self) -> None:
        gathered: list[str] = []
        beat_s = 60 * self._config.heartbeat_min if self._config.heartbeat_min and self._config.webhook else None
        next_beat_s = time.monotonic() + (beat_s or 0.0)
        next_trouble_s = time.monotonic()
        while True:
            due_s = [next_beat_s] if beat_s else []
            due_s += [next_trouble_s] if gathered else []
            try:
                item = self._waiting.get(timeout=max(0.0, min(due_s) - time.monotonic()) if due_s else None)
            except queue.Empty:
                item = ("heartbeat", "")
            if item is None:
                if gathered:
                    self._send("trouble", "\n".join(gathered))
                return
            what, text = item
            if what == "trouble":
                gathered.append(text)
            if what == "end":
                self._send("end", "\n".join([text, *(["", "Since the last message:", *gathered] if gathered else [])]))
                gathered = []
            if gathered and time.monotonic() >= next_trouble_s:
                self._send("trouble", "\n".join(gathered))
                gathered, next_trouble_s = [], time.monotonic() + GATHER_S
            if beat_s and time.monotonic() >= next_beat_s:
                self._send("heartbeat", "Still running.")
                next_beat_s = time.monotonic() + beat_s

    def _send(self, what: What, text: str) -> None:
        message = Message(what, f"{self._name}: {text.splitlines()[0]}", text, self._status())
        for sent in send(self._config, message):
            if not sent.ok:
                log.warning("%s: the message (%s) was not delivered: %s", sent.channel, what, sent.why)
            try:
                self._journal(sent)
            except Exception as error:  # a full disk must not end this thread
                log.warning("the journal cannot be written: %s", error)


def _tried(action: Callable[[], None]) -> str | None:
    """Do it, a few times if need be; why it could not be done, None if it was."""
    pause_s = PAUSE_S
    for attempt in range(1, TRIES + 1):
        try:
            action()
            return None
        except Exception as error:  # whatever a mail server or a proxy comes up with: the scan continues
            why = _reason(error)
            if isinstance(error, FOR_GOOD) or attempt == TRIES:
                return why
        time.sleep(pause_s)
        pause_s *= 2
    return None


def _post(url: str, message: Message) -> None:
    body = {"what": message.what, "subject": message.subject, "text": message.text, "status": message.status}
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "coinlab"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass


def _mail(config: EmailConfig, message: Message) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, config.sender, ", ".join(config.to)
    mail.set_content(message.text)
    secure = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(config.host, config.port, timeout=TIMEOUT_S, context=secure)
        if config.security == "tls"
        else smtplib.SMTP(config.host, config.port, timeout=TIMEOUT_S)
    ) as server:
        if config.security == "starttls":
            server.starttls(context=secure)
        if config.user is not None:
            server.login(config.user, os.environ[config.password_env])
        server.send_message(mail)


def _reason(error: Exception) -> str:
    # A webhook's address is often its password: it is named nowhere.
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"the server cannot be reached: {error.reason}"
    if isinstance(error, KeyError):
        return f"the environment variable {error.args[0]} with the password is not set"
    return f"{type(error).__name__}: {error}"
