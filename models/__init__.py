"""Telling one coin from another: embedding, matching, training and evaluation."""
