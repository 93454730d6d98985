"""Notifying of a job: who is named in rig.yaml hears of its trouble, and the journal has what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from capture.store import Store
from capture.store.journal_lines import NotificationSent
from pipeline.lab import Lab
from pipeline.notify import Notifier, Sent
from pipeline.scanning.monitor import JobMonitor


@contextmanager
def notifying(lab: Lab, store: Store, monitor: JobMonitor, job: str) -> Iterator[Notifier]:
    """Send what a monitor reports as trouble, for as long as the block lasts.

    Parameters
    ----------
    job
        What the messages are about, beside the lab: ``tray 3``.
    """
    about = f"{lab.folder.resolve().name}, {job}"
    with Notifier(lab.rig.notify, about, monitor.as_json, _journal(store)) as notifier:
        monitor.on_trouble = notifier.trouble
        yield notifier


def _journal(store: Store) -> Callable[[Sent], None]:
    def note(sent: Sent) -> None:
        store.journal.log(NotificationSent(channel=sent.channel, what=sent.what, ok=sent.ok, why=sent.why))

    return note
