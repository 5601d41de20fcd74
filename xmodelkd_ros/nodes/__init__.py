"""The ROS nodes; nothing here computes."""
