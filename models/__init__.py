"""Recognising one physical coin among others: embedding, matching, explanation, training and evaluation."""
