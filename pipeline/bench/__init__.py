"""The rig by hand: what is plugged in, whether it works, and its calibration."""
