"""The digital twin: a world with coins in it, controllers emulated byte for byte, and what a camera would see."""
