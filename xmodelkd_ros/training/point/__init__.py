"""Training of the point segmenter."""
