"""Calibrating and measuring with photographs that exist already, without a rig."""
