"""Crops in, features out: networks, their weights, and how a processor runs them fastest."""
