"""`rig serve`: where the page is reached, by whom, and its end."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

import cv2
import uvicorn

from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from pipeline.serve.access import Access
from pipeline.serve.app import make_app
from pipeline.serve.children import stay_in_front
from pipeline.serve.exports import remove_leftovers

LEAST_TOKEN = 16  # letters
POLITENESS = 10  # how far the page steps back behind a scan on the same computer
BACKLOG = 128  # browsers that may wait for an answer
ENDING_S = 2  # that open requests have once it is ended


@dataclass(frozen=True)
class ServeOptions:
    """Where the page is reached.

    Attributes
    ----------
    host, port
        The address to listen at; port 0 is any that is free.
    with_token
        Whether a token is asked for on this computer too; elsewhere one always is.
    certificate, key
        PEM files for TLS.
    behind_proxy
        Whether a proxy in front of it does TLS.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    with_token: bool = False
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: bool = False


def serve(lab: Lab, options: ServeOptions, reporter: Reporter) -> None:
    """Serve the page of a lab until Ctrl-C or SIGTERM.

    Raises
    ------
    UsageError
        If it would be reached from elsewhere without TLS, or the token of $RIG_TOKEN is too short.
    LabError
        If the address cannot be listened at, or the certificate cannot be used.
    """
    access = make_access(options)
    listener = _listen(options)
    cv2.setNumThreads(1)
    stay_in_front()
    os.nice(POLITENESS)
    app = make_app(lab, access)
    remove_leftovers()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ENDING_S,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    try:
        config.load()
    except OSError as error:
        raise LabError(
            f"{options.certificate} cannot be used as a certificate: {error.strerror or error}. Give --certificate and "
            "--key files in PEM form that belong together."
        ) from error
    host, port = listener.getsockname()[:2]
    scheme = "https" if options.certificate else "http"
    shown = socket.gethostname() if ipaddress.ip_address(host).is_unspecified else f"[{host}]" if ":" in host else host
    reporter.report(f"The page of {lab.folder.resolve().name}: open {scheme}://{shown}:{port}/ in a browser.")
    if access.token is not None:
        where = "the one of $RIG_TOKEN" if os.environ.get("RIG_TOKEN") else access.token
        reporter.report(f"It asks for a token: {where}")
    if options.behind_proxy:
        reporter.report("It expects a proxy in front of it that does TLS and passes the Host header on.")
    reporter.report("Ctrl-C ends it. Scans and batches do not need it.")
    server = _Server(config)
    app.state.is_ending = lambda: server.should_exit  # what never ends by itself, such as the live image
    server.run(sockets=[listener])


def make_access(options: ServeOptions) -> Access:
    """Who may use the page that is reached like this.

    Raises
    ------
    UsageError
        If it would be reached from elsewhere without TLS, or the token of $RIG_TOKEN is too short.
    """
    if (options.certificate is None) != (options.key is None):
        raise UsageError("--certificate and --key belong together: give both.")
    is_here = _is_loopback(options.host)
    has_tls = options.certificate is not None or options.behind_proxy
    if not is_here and not has_tls:
        raise UsageError(
            f"--host {options.host} is reached from other computers, and whatever is sent there could be read on the "
            "way. Give --certificate and --key (docs/page.md makes them), or --behind-proxy if a proxy does TLS."
        )
    given = os.environ.get("RIG_TOKEN", "")
    if given and len(given) < LEAST_TOKEN:
        raise UsageError(f"$RIG_TOKEN has less than {LEAST_TOKEN} letters: too few. Unset it, and one is made.")
    if is_here and not (options.with_token or given or options.behind_proxy):
        return Access()
    return Access(given or secrets.token_urlsafe(18), has_tls)


class _Server(uvicorn.Server):
    """One that leaves Ctrl-C and SIGTERM to the first, which ends it in good order, and prints nothing about it."""

    def handle_exit(self, sig: int, frame: object) -> None:
        self.should_exit = True


def _listen(options: ServeOptions) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # who opens the page as soon as its address is printed waits, and is not refused
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise LabError(
            f"the page cannot be reached at {options.host}, port {options.port}: {why}. Another `rig serve` may be "
            "running; or give another --port, such as 8421, or an address of this computer as --host."
        ) from error
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
