"""Turntable drivers, one per file, each with its emulator beside it."""
