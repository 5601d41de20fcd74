"""Scores and timings."""
