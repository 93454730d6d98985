"""`rig bench`: hold the rig and do, one at a time, what lines of JSON on standard input say; the page's hands.

Nothing moves longer than somebody is there: each motion is one finite step, an order that comes while another is
carried out is dropped, and where nobody has been heard of for `ALIVE_S`, what moves is stopped. When standard input
ends, for whatever reason, what moves is stopped, the lights go off, and the rig is let go.

    reader   stop ---------------------> station.stop()
             order -> pending -> main    (dropped while another is pending or under way)
    watchman nobody heard of -> stop, and after `IDLE_S` the end
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from calibration.bundle import usable
from calibration.errors import CalibrationError
from capture.quality import check
from pipeline.assembly import Rig, connected
from pipeline.bench.calibrate import calibrate_rig, calibration_light
from pipeline.bench.handwork import cup_mm_of
from pipeline.bench.orders import BenchState, Order
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.preview import PreviewWriter, Seen
from pipeline.reporter import Progress, SilentReporter
from rig.devices import Handler
from rig.errors import DeviceError, EnvelopeError, NoAnswerError

ALIVE_S = 3.0  # after which nobody is there any more
IDLE_S = 60.0  # after which the rig is let go
POLL_S = 0.1
CAMERA_PAUSE_S = 2.0  # after it failed, before it is tried again
LAST_MESSAGES = 6
MOTIONS = ("home", "park", "turn", "move", "calibrate")  # after which, if they fail, no position is believed
_LOST: dict[str, object] = {"is_homed": False, "angle_deg": None, "cup_mm": None}  # no position is believed
PROCEDURES = ("calibrate",)  # takes minutes, asks as it proceeds, and is stopped only once the rig is let go

Emit = Callable[[BenchState], None]


def drive_bench(lab: Lab, lines: Iterable[str], emit: Emit, *, realtime: bool) -> None:
    """Hold the rig and carry out orders until ``end``, or until the lines end.

    Parameters
    ----------
    lines
        Each an `Order` as JSON.
    emit
        Given the state at the start, whenever it changes, and after each ``alive``.

    Raises
    ------
    DeviceError
        If a device does not answer at the start.
    LabError
        If another process drives this rig.
    """
    ask = _Ask()
    with connected(lab, realtime=realtime, ask=ask) as rig, PreviewWriter(lab) as previews:
        session = BenchSession(lab, rig, previews, emit)
        ask.answer = session.ask
        for work in (lambda: session.hear(lines), session.keep_watch):
            threading.Thread(target=work, daemon=True).start()
        session.work()


class BenchSession:
    """A rig that is held, and what is being done with it. `work` runs in the main thread, all else in others."""

    def __init__(self, lab: Lab, rig: Rig, previews: PreviewWriter, emit: Emit) -> None:
        self._lab, self._rig, self._previews, self._emit = lab, rig, previews, emit
        self._changed = threading.Condition(threading.RLock())
        self._pending: Order | None = None
        self._answer: bool | None = None
        self._stopped: str | None = None  # why, until the order that it struck is over
        self._is_over = False
        self._heard_s = time.monotonic()
        bundle = usable(lab.calibrations)
        self._mm_per_pixel = None if bundle is None else bundle.mm_per_pixel
        has_arm = not isinstance(rig.station.arm, Handler)
        devices = {each.kind: each.port for each in rig.identities}
        self._state = BenchState(has_arm=has_arm, lights=rig.station.light_names, devices=devices)
        self._set()

    # What others' threads do

    def hear(self, lines: Iterable[str]) -> None:
        """Take orders until there are no more."""
        for line in lines:
            try:
                order = Order.model_validate_json(line)
            except ValidationError:
                self._set(problem="An order was not understood. Load the page again.")
                continue
            self._heard_s = time.monotonic()
            if order.do == "end":
                self._leave(None)
                return
            self._take(order)
        self._leave("The page that used the rig was closed, so everything was stopped.")

    def _take(self, order: Order) -> None:
        if order.do == "stop":
            self._stop("Stopped. Home before anything moves again.")
        elif order.do == "answer":
            with self._changed:
                self._answer = order.yes
                self._changed.notify_all()
        elif order.do == "alive":
            self._set()
        else:
            with self._changed:
                if self._pending is None and self._state.doing is None:
                    self._pending = order
                    self._changed.notify_all()

    def keep_watch(self) -> None:
        """Stop what moves once nobody is there, and what was stopped until it stands; in the end let go of the rig."""
        while not self._is_over or self._state.doing is not None:
            time.sleep(POLL_S)
            silent_s, doing = time.monotonic() - self._heard_s, self._state.doing
            if self._stopped is not None and doing is not None:
                self._rig.station.stop()
            elif doing is not None and doing not in PROCEDURES and silent_s > ALIVE_S:
                self._stop("Nothing was heard of the page any more, so everything was stopped. Home again.")
            elif silent_s > IDLE_S:
                self._leave("Nobody was there any more, so the rig was let go.")

    def _stop(self, why: str) -> None:
        self._stopped = why  # before anything is waited for: what is pending does not begin any more
        self._rig.station.stop()
        with self._changed:
            self._pending = None
            if self._state.doing is None:
                self._stopped = None
            self._set(**_LOST, light=None, problem=why)
            self._changed.notify_all()

    def _leave(self, why: str | None) -> None:
        with self._changed:
            is_moving, self._is_over = self._state.doing is not None, True
            self._changed.notify_all()
        if is_moving:
            self._stop(why or "Stopped, and the rig was let go.")
        else:
            self._set(problem=why)

    # What the main thread does

    def work(self) -> None:
        """Carry out orders, and show what the camera sees between them, until it is over."""
        while (order := self._next()) is not None or not self._is_over:
            if order is not None:
                self._carry_out(order)
            else:
                self._take_preview()

    def ask(self, request: str) -> bool:
        """Ask whoever is there to do something, show what the camera sees meanwhile, and return whether it was done."""
        with self._changed:
            self._answer = None
        self._set(asks=request)
        try:
            while self._answer is None:
                if self._is_over or self._stopped is not None:
                    raise NoAnswerError("technician", "it was stopped before that was done.", "Begin again.")
                self._take_preview()
            return self._answer
        finally:
            self._set(asks=None)

    def report(self, message: str) -> None:
        """Show what a calibration reports."""
        self._set(messages=[*self._state.messages, message][-LAST_MESSAGES:])

    def _next(self) -> Order | None:
        with self._changed:
            if self._pending is None and not self._is_over and not self._previews.is_wanted:
                self._changed.wait(POLL_S)
            order, self._pending = self._pending, None
            if order is None or self._is_over:
                return None
            self._state = self._state.model_copy(update={"doing": order.do, "problem": None})
        self._set()
        return order

    def _carry_out(self, order: Order) -> None:
        problem = None
        try:
            if self._stopped is None:
                self._do(order)
        except (DeviceError, LabError, CalibrationError) as error:
            problem = str(error)
            if order.do in MOTIONS and not isinstance(error, EnvelopeError):
                self._set(**_LOST)
        with self._changed:
            if self._stopped is not None:
                problem, self._stopped = self._stopped, None
                self._set(**_LOST, light=None)
            self._set(doing=None, done=self._state.done + 1, problem=problem)

    def _do(self, order: Order) -> None:
        station, state = self._rig.station, self._state
        match order.do:
            case "home":
                self._home()
            case "park":
                station.park()
                self._set(cup_mm=cup_mm_of(station))
            case "turn":
                self._set(angle_deg=station.rotate_to(((state.angle_deg or 0.0) + order.by_deg) % 360.0))
            case "move":
                here = state.cup_mm or (0.0, 0.0, 0.0)
                x_mm, y_mm, z_mm = (at + by for at, by in zip(here, order.by_mm, strict=True))
                station.move_cup((x_mm, y_mm, z_mm))
                self._set(cup_mm=(x_mm, y_mm, z_mm))
            case "light":
                station.show(order.name)
                self._set(light=order.name)
            case "dark":
                station.dark()
                self._set(light=None)
            case "expose":
                self._rig.camera.configure(order.exposure_us, order.gain)
                self._set(exposure_us=order.exposure_us, gain=order.gain)
            case "calibrate":
                self._calibrate()

    def _home(self) -> None:
        station = self._rig.station
        station.home()
        self._set(is_homed=True, angle_deg=station.rotate_to(0.0), cup_mm=cup_mm_of(station))

    def _calibrate(self) -> None:
        self._set(messages=[])
        self._home()
        light = calibration_light(self._rig)
        self._rig.station.show(light)  # so that whoever lays the board sees it
        self._set(light=light)
        self._mm_per_pixel = calibrate_rig(self._lab, self._rig, _Calibrating(self)).bundle.mm_per_pixel
        self._rig.camera.configure(self._state.exposure_us, self._state.gain)
        self._set(light=None)

    def _take_preview(self) -> None:
        if not self._previews.is_wanted:
            time.sleep(POLL_S / 2)
            return
        state = self._state
        try:
            image = self._rig.camera.grab().image
        except DeviceError as error:
            self._set(problem=str(error))
            time.sleep(CAMERA_PAUSE_S)
            return
        facts = {
            "light": state.light,
            "turntable_deg": state.angle_deg,
            "exposure_us": state.exposure_us,
            "gain": state.gain,
        }
        self._previews.offer(Seen(image, check(image, limits=self._lab.rig.quality), facts, self._mm_per_pixel))

    def _set(self, **values: object) -> None:
        with self._changed:
            self._state = self._state.model_copy(update=values)
            self._emit(self._state)


class _Calibrating(SilentReporter):
    """Reports and asks by the session."""

    def __init__(self, session: BenchSession) -> None:
        super().__init__()
        self._session = session

    def report(self, message: str) -> None:
        self._session.report(message)

    warn = report

    def ask(self, request: str) -> None:
        if not self._session.ask(request):
            raise UsageError("it was ended before everything was in place. Begin again when it is.")

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        yield lambda done, total: self._session.report(f"{what}: {done} of {total}")


class _Ask:
    """Hands requests on to the session, which is made after the devices that ask."""

    def __init__(self) -> None:
        self.answer: Callable[[str], bool] = lambda request: False

    def __call__(self, request: str) -> bool:
        return self.answer(request)
