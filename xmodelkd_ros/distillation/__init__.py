"""Distillation: of LiDAR students from image teachers, of the video segmenter from other models."""
