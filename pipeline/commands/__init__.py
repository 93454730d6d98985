"""The commands of `rig`: arguments in, one job called, its result printed by `pipeline.commands.terminal`."""
