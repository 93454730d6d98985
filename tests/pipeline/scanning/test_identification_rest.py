"""What is left to be identified after the last shot is announced, coin by coin."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any

from pipeline.scanning.identification import Identification


class SlowIdentifier:
    """One whose catalogue is being embedded until it may answer."""

    def __init__(self) -> None:
        self.opening = "Embedding the catalogue, 40 of 120"
        self.may_answer = Event()
        self.on_step: Callable[[], None] = lambda: None

    def follow(self, on_step: Callable[[], None]) -> None:
        self.on_step = on_step

    def cancel(self) -> None: ...

    def identify_scanned(self, store: Any, session_id: str, coin: str) -> Any:
        self.may_answer.wait(60)
        return SimpleNamespace(verdict="match", candidates=())


def test_what_is_done_after_the_last_shot_is_announced_and_reported() -> None:
    identifier, reported, announced = SlowIdentifier(), list[str](), list[str]()
    reporter: Any = SimpleNamespace(report=reported.append, warn=reported.append)
    store: Any = None
    session: Any = SimpleNamespace(id="s", name="1")
    with Identification(store, identifier, reporter) as identification:
        for coin in ("a", "b"):
            identification.add(session, coin, lambda coin, text: None)
        assert announced == [], "while the rig moves, that is what is announced"
        identification.report_rest(announced.append)
        identifier.opening = ""
        identifier.on_step()
        identifier.may_answer.set()
    assert reported == ["Embedding the catalogue, 40 of 120; then identifying coin 1 of 2."]
    assert announced == [*reported, "Identifying coin 1 of 2.", "Identifying coin 2 of 2."]
