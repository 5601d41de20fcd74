"""Camera models, rigid transforms, projection, occlusion and point-pixel pairs, in NumPy."""
