"""What can go wrong when pixels are to become measurements."""


class CalibrationError(Exception):
    """A calibration cannot be made, read or applied; the message says why and what to do."""
