"""Coins and images that are known: labs, imports, catalogues, searches, the store's upkeep."""
