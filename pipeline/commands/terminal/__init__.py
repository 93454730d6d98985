"""How each result is printed for a person: one module of renderers beside each module of commands."""
