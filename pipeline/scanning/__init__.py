"""Trays through the rig: one scan, or a night of them, watched and accounted for."""
