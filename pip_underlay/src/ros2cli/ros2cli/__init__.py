"""The command ros2: a stand-in for ros2 launch, ros2 run and ros2 pkg."""
