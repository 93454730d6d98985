"""Data sets, training, evaluation, and which model is in service."""
