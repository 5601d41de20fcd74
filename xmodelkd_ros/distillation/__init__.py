"""Distillation: LiDAR students from image teachers, video segmenters from other models."""
