"""LiDAR teaches the camera: things of sweeps become instance masks with identity."""
