"""Why two coins are similar, or a coin is of a type: the places that decide, drawn as maps."""
