"""Which catalogue coin is this: shortlist, grid, probability, explanation."""
