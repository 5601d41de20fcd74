"""rosbag2 reading and writing, converters to rosbag2, and frames paired as the node does."""
