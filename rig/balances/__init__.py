"""Balances: a driver per protocol, its emulator beside it."""
