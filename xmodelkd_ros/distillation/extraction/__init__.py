"""Extraction: what a teacher says of the points of drives, kept in the feature cache."""
