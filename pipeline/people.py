"""Who does something, as the journal keeps it."""

from __future__ import annotations

import getpass
import os

from capture.names import printable


def name_of_user() -> str:
    """The name of whoever is logged in, or their number where the system knows no name, as in a container."""
    try:
        return printable(getpass.getuser())
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}"
