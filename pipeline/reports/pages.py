"""What the reports share: page templates, and how a session is described in a line."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from calibration.files import write_atomically
from capture.plan import Plan
from capture.store.records import Entry, Session


def page_template(name: str) -> Template:
    """A page of ``pipeline/reports/templates``, with everything that is filled in escaped."""
    environment = Environment(
        loader=PackageLoader("pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["commands"] = _commands
    return environment.get_template(name)


def _commands(sentence: str) -> Markup:
    """Set what is in backticks as code, and escape everything."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))


def write_drawing(path: Path, svg: str) -> Path:
    """Write an SVG of `pipeline.reports.plots` as a file of its own: it then has to name its name space."""
    return write_atomically(path, svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def cite(entry: Entry) -> str:
    """An entry as a person would cite it: sale, plate and lot, or the image's name; the side is left out."""
    side = entry.side or ""
    name = Path(entry.source).stem.removesuffix(side).removesuffix(side[:3]).rstrip(", _-")
    return f"{entry.catalogue}, {name}" if name else entry.catalogue


def clock_direction(azimuth_deg: float) -> str:
    """Where light comes from, as on a clock: azimuths are counter-clockwise from the right."""
    return f"{round(3 - azimuth_deg / 30 - 1) % 12 + 1} o'clock"


def plan_line(plan: Plan) -> str:
    """A plan in a line."""
    return (
        f"{plan.name}: {len(plan.lights)} lights, {len(plan.turntable_deg)} turntable angles, "
        f"{len(plan.tilt_deg)} tilt, {plan.exposure_us} µs"
    )


def device_line(session: Session) -> str:
    """The devices of a session as they identified themselves, in a line."""
    return "; ".join(f"{each['kind']} on {each['port']} ({each['firmware']})" for each in session.devices)
