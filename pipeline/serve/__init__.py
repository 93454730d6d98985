"""The page: `rig serve`. It looks on while a scan runs, and writes through the same functions as the commands."""
