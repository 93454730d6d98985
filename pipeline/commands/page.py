"""The command that serves the page: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, DebugOption, LabOption
from pipeline.commands.terminal.output import reporter
from pipeline.lab import open_lab

app = typer.Typer()


@app.command(epilog="Example: `rig serve`, then open http://127.0.0.1:8420/ in a browser. docs/page.md has more.")
def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen at; one that other computers reach needs TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any that is free.")] = 8420,
    token: Annotated[
        bool,
        typer.Option(
            "--token", help="Ask for a token on this computer too: $RIG_TOKEN, else one that is made and printed."
        ),
    ] = False,
    certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="A certificate for TLS, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front of it does TLS, and passes the Host header on.")
    ] = False,
    lab: LabOption = None,
    debug: DebugOption = False,
) -> int:
    """Serve the page of a lab: review matches, watch a scan, search the collection. It never disturbs a scan."""
    from pipeline.serve.server import ServeOptions
    from pipeline.serve.server import serve as serve_page

    options = ServeOptions(host, port, token, certificate, key, behind_proxy)
    serve_page(open_lab(lab), options, reporter)
    return DONE
