"""How well coins are found again: protocol, figures of merit, scores in blocks."""
