"""Training of the clip network, the offline teacher of the video segmenter."""
