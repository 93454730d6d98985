"""Standard output and error that never fail: a reader who has left, or a terminal that is gone, ends no scan."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)  # `rig ... | head`, a terminal that was closed: nobody wants what is left


class SteadyStream:
    """A text stream that leads nowhere from the first failed write on.

    Attributes
    ----------
    failure
        Why something that was wanted could not be written, such as a full disk; None otherwise.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: str | None = None

    def write(self, text: str) -> int:
        """Write, or give up for good."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        except UnicodeEncodeError:  # an old terminal: its letters do
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write what is still held back, or give up for good."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in GONE:
            self.failure = error.strerror
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def steady_streams() -> SteadyStream:
    """Put such streams in the place of standard output and error, and return that of the output."""
    sys.stdout, sys.stderr = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    return sys.stdout
