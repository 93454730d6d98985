"""Frames that failed their check: stored with the reasons, and counted as tries."""

from __future__ import annotations

import pytest

from capture.store import Store, StoreError
from capture.store.quarantine import QuarantineReason
from capture.store.record_kinds import FRAME
from tests.capture.conftest import PLAN, TRAY, add_frame

REASONS = (QuarantineReason.WRONG_ANGLE, QuarantineReason.BLUR)


def test_reasons_are_on_disk_in_words_and_come_back_as_a_list(store: Store) -> None:
    session = store.sessions.begin_scan(TRAY, PLAN)
    frame = add_frame(store, session.id, PLAN.shots(TRAY)[0], 1, quarantine_reasons=REASONS, calibrated=None)
    assert not frame.is_good and frame.quarantine_reason == "wrong angle, blur"
    assert store.frames.find(good=False) == [frame] and store.frames.find() == []
    files = store.storage.files
    record = files.read_record(files.record_path("frame", FRAME.record_name(vars(frame))))
    assert record["row"]["quarantine_reason"] == "wrong angle, blur"


def test_a_try_at_a_wrong_angle_does_not_use_up_a_shot(store: Store) -> None:
    session = store.sessions.begin_scan(TRAY, PLAN)
    first, second = PLAN.shots(TRAY)[:2]
    for attempt in range(PLAN.retakes + 1):
        for number, (shot, reasons) in enumerate(((first, REASONS), (second, (QuarantineReason.BLUR,)))):
            seed = 10 * attempt + number
            add_frame(store, session.id, shot, seed, attempt=attempt + 1, quarantine_reasons=reasons, calibrated=None)
    assert store.sessions.settled_shots(session.id) == {second.id}
    assert first in store.sessions.missing_shots(session.id)


def test_a_reason_of_a_later_version_is_named(store: Store) -> None:
    session = store.sessions.begin_scan(TRAY, PLAN)
    add_frame(store, session.id, PLAN.shots(TRAY)[0], 1, quarantine_reasons=REASONS, calibrated=None)
    with store.storage.database.write() as connection:
        connection.execute("UPDATE frame SET quarantine_reason = 'blur, upside down'")
    with pytest.raises(StoreError, match="'blur, upside down', which this version of the program does not know"):
        store.frames.find(good=None)
