"""The jobs a person runs."""
