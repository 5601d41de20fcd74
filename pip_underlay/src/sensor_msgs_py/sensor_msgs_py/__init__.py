"""PointCloud2 messages as structured NumPy arrays: a stand-in for ROS's package of this name."""
