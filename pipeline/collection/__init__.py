"""Coins and pictures that are known: labs, imports, catalogues, searches, the store's upkeep."""
