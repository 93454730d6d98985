"""Manifests and images from an address."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

from calibration.durable_files import read_limit
from pipeline.errors import LabError

MAX_DOWNLOAD_MB = 256.0
TIMEOUT_S = 30.0  # without a byte
LONGEST_S = 900.0
_PART = 1 << 20
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
        If it is no web address, cannot be reached, does not end, ends too early, or is too much.
    """
    if not is_address(address):
        raise LabError(f"{address} is no address on the web: it does not begin with http:// or https://.")
    most = int(read_limit("RIG_MAX_DOWNLOAD_MB", MAX_DOWNLOAD_MB) * 1e6)
    too_large = f"{address} is larger than {most / 1e6:g} MB. If that is right, set RIG_MAX_DOWNLOAD_MB."
    request = urllib.request.Request(address, headers={"User-Agent": "coinlab", "Accept": _ACCEPTED})
    end_s = time.monotonic() + LONGEST_S
    try:
        with urllib.request.build_opener(_WebAlone).open(request, timeout=TIMEOUT_S) as answer:
            stated = answer.headers.get("Content-Length", "")
            if stated.isdecimal() and int(stated) > most:
                raise LabError(too_large)
            data = bytearray()
            while part := answer.read1(_PART):
                data += part
                if len(data) > most:
                    raise LabError(too_large)
                if time.monotonic() > end_s:
                    raise TimeoutError(f"it was not complete after {LONGEST_S:g} s")
    except urllib.error.HTTPError as error:
        if 300 <= error.code < 400:
            raise LabError(f"{address} leads in a circle, or away from the web. Check the address.") from error
        refusal = " ".join([str(error.code), *str(error.reason).splitlines()[:1]])
        raise LabError(f"{address} was refused by its server ({refusal}). Check the address.") from error
    except http.client.HTTPException as error:
        raise LabError(
            f"the answer from {address} was cut short, or is no answer of a web server. Try again."
        ) from error
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        why = getattr(cause, "strerror", None) or cause
        raise LabError(
            f"{address} cannot be reached: {why}. Check the address and the network; then try again."
        ) from error
    if stated.isdecimal() and len(data) < int(stated):
        raise LabError(f"{address} ended after {len(data):,} of {int(stated):,} bytes. Try again.")
    return bytes(data)


class _WebAlone(urllib.request.HTTPRedirectHandler):
    """Follows no redirection away from the web, to a file of this machine."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not is_address(newurl):
            raise urllib.error.URLError(f"it leads to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
