"""The online video segmenter that learns from the offline one (OOKD)."""
