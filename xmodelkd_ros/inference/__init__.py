"""Predictors and the tracker: arrays in, arrays out."""
