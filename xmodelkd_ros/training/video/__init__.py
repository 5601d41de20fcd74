"""Training of the online video segmenter, and the data sets it learns from."""
