"""From pixels to measurements."""
