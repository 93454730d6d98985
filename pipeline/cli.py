"""The command `rig`: its commands put together, run, and every failure reported in one paragraph.

Jobs are imported when their command runs: `rig --help` answers at once, and a Raspberry Pi without torch can scan.
"""

from __future__ import annotations

import importlib.metadata
import logging
import resource
import sys
import traceback
from typing import Annotated

import typer

from pipeline.commands import (
    bench,
    calibration,
    catalogue,
    identification,
    labs,
    learning,
    models,
    page,
    reviews,
    scans,
    store,
)
from pipeline.commands.options import DONE, FAILED, LEFT_OVER, USAGE
from pipeline.commands.terminal.output import print_failure, print_line
from pipeline.errors import LabError, UsageError, explain
from pipeline.signals import Interrupted, interrupt_on_signals
from pipeline.streams import steady_streams

LEAST_ADDRESS_SPACE = 1_800_000_000  # what a scan and a model take; with 0.9 GB OpenCV and torch die at work


def _exit(code: int, **_: object) -> None:
    raise typer.Exit(code)


app = typer.Typer(
    name="rig",
    result_callback=_exit,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Scan trays of coins under many poses and lights, and find the same physical coin in catalogues.\n\n"
    "Start with `rig scan --tray 3`: where there is no lab yet, it makes a twin lab in ./lab and scans that.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with something left over.",
)
app.add_typer(labs.app)
app.add_typer(scans.app)
app.add_typer(identification.app)
app.add_typer(reviews.app)
app.add_typer(page.app)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(store.app, name="store")
app.add_typer(calibration.app, name="calibrate", rich_help_panel=calibration.PANEL)
app.add_typer(calibration.measure_app)
app.add_typer(bench.app)
app.add_typer(learning.app)
app.add_typer(models.dataset_app, name="dataset", rich_help_panel=learning.PANEL)
app.add_typer(models.app, name="models", rich_help_panel=learning.PANEL)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print_line(f"rig {importlib.metadata.version('coinlab')}")
        raise typer.Exit(DONE)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command's name."""
    _check_memory_limit()


def _check_memory_limit() -> None:
    """Refuse a limit under which native code would end the process without a word."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise LabError(
            f"this shell gives a process {limit / 1e9:.1f} GB of address space (`ulimit -v`), and rig needs "
            f"{LEAST_ADDRESS_SPACE / 1e9:.1f} GB, most of which it never touches. Raise it: `ulimit -v unlimited`."
        )


def main() -> None:
    """Run `rig` and exit with its code; a failure is reported in a paragraph, with a traceback only on ``--debug``."""
    interrupt_on_signals()
    output = steady_streams()
    logging.getLogger().addHandler(logging.NullHandler())  # what is reported is not logged to the terminal as well
    code: int | str | None
    try:
        code = app()
    except SystemExit as ended:
        code = ended.code
    except Interrupted:
        print_failure("interrupted. Nothing is lost: run the same command again to resume.")
        code = LEFT_OVER
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        print_failure(explain(error))
        code = USAGE if isinstance(error, UsageError) else FAILED
    output.flush()
    if output.failure is not None:
        print_failure(f"standard output could not be written: {output.failure}. What was done is kept.")
        code = code or FAILED
    sys.exit(code)


if __name__ == "__main__":  # torchrun starts modules: `torchrun --nproc-per-node 2 -m pipeline.cli train recipe.yaml`
    main()
