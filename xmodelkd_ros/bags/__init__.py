"""Recordings: rosbag2 files, KITTI and SemanticKITTI, synchronised frames."""
