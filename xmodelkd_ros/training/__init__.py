"""Supervised training on labelled drives."""
