"""LiDAR and camera semantics for ROS 2."""
