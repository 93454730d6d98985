"""The twin's coins: generated, photographed or measured; their relief, surface and reproduction in print."""
