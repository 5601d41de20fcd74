"""Distillation of point networks from image teachers and unlabelled drives."""
