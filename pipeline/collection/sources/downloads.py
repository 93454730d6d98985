"""Manifests and images from an address."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from calibration.durable_files import read_limit
from pipeline.errors import LabError

MAX_DOWNLOAD_MB = 256.0
TIMEOUT_S = 30.0
_ACCEPTED = "application/ld+json, application/json;q=0.9, image/*;q=0.9, */*;q=0.5"  # a record's page is of no use
_SCHEMES = ("http://", "https://")


def is_address(text: str) -> bool:
    """Whether a text is an address on the web."""
    return text.lower().startswith(_SCHEMES)


def download(address: str) -> bytes:
    """The bytes that an address leads to.

    Raises
    ------
    LabError
        If it is no web address, cannot be reached, or they are too many.
    """
    if not is_address(address):
        raise LabError(f"{address} is no address on the web: it does not begin with http:// or https://.")
    most = int(read_limit("RIG_MAX_DOWNLOAD_MB", MAX_DOWNLOAD_MB) * 1e6)
    request = urllib.request.Request(address, headers={"User-Agent": "coinlab", "Accept": _ACCEPTED})
    try:
        with urllib.request.build_opener(_WebAlone).open(request, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(most + 1)
    except urllib.error.HTTPError as error:
        raise LabError(
            f"{address} was refused by its server ({error.code} {error.reason}). Check the address."
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        why = getattr(cause, "strerror", None) or cause
        raise LabError(
            f"{address} cannot be reached: {why}. Check the address and the network; then try again."
        ) from error
    if len(data) > most:
        raise LabError(f"{address} is larger than {most / 1e6:g} MB. If that is right, set RIG_MAX_DOWNLOAD_MB.")
    return data


class _WebAlone(urllib.request.HTTPRedirectHandler):
    """Follows no redirection away from the web, to a file of this machine."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not is_address(newurl):
            raise urllib.error.URLError(f"it leads to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
