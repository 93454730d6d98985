"""What the reports share: page templates, and how a session is described in a line."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from calibration.durable_files import write_atomically
from capture.names import printable
from capture.plan import Plan
from capture.store.records import Entry, Session
from pipeline.lab import Lab
from pipeline.wording import count


def page_template(name: str) -> Template:
    """A page of ``pipeline/reports/templates``."""
    environment = page_environment("pipeline.reports")
    environment.filters["commands"] = _commands
    return environment.get_template(name)


def page_environment(package: str) -> Environment:
    """The ``templates`` folder of a package, with everything that is filled in escaped and made visible."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: object) -> object:
    """What is filled in, with its control characters visible; lines of a text stay lines."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(printable, value.split("\n")))
    return value


def _commands(sentence: str) -> Markup:
    """Set what is in backticks as code, and escape everything."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))


def write_page(lab: Lab, name: str, page: str) -> Path:
    """Write a page into the lab's reports; where the lab is read-only, into the folder that the command is run in.

    Returns
    -------
    Path
        Where it lies.
    """
    try:
        return write_atomically(lab.reports / name, page)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
    return write_atomically(Path(name).absolute(), page)


def write_drawing(path: Path, svg: str) -> Path:
    """Write an SVG of `pipeline.reports.plots` as a file of its own: it then has to name its name space."""
    return write_atomically(path, svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def cite(entry: Entry) -> str:
    """An entry as a person would cite it: sale, lot and plate, or the image's name; the side is left out."""
    if entry.lot is not None and entry.lot.lot:
        page = f"pl. {entry.lot.plate}" if entry.lot.plate else f"p. {entry.lot.page}" if entry.lot.page else ""
        return ", ".join(filter(None, (entry.catalogue, f"lot {entry.lot.lot}", page)))
    if entry.lot is not None and entry.lot.page:  # cut out of a page, whose numbers were not read
        return f"{entry.catalogue}, {entry.coin_id.removeprefix(f'{entry.catalogue}, ')}"
    side = entry.side or ""
    name = Path(entry.source).stem.removesuffix(side).removesuffix(side[:3]).rstrip(", _-")
    return f"{entry.catalogue}, {name}" if name else entry.catalogue


def clock_direction(azimuth_deg: float) -> str:
    """Where light comes from, as on a clock: azimuths are counter-clockwise from the right."""
    return f"{round(3 - azimuth_deg / 30 - 1) % 12 + 1} o'clock"


def plan_line(plan: Plan) -> str:
    """A plan in a line."""
    return (
        f"{plan.name}: {count(len(plan.lights), 'light')}, {count(len(plan.turntable_deg), 'turntable angle')}, "
        + ", ".join((count(len(plan.tilt_deg), "tilt"), *(plan.brackets or [f"{plan.exposure_us} µs"])))
    )


def device_line(session: Session) -> str:
    """The devices of a session as they identified themselves, in a line."""
    return "; ".join(f"{each['kind']} on {each['port']} ({each['firmware']})" for each in session.devices)
