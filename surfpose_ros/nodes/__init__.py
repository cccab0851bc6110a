"""ROS 2 nodes: parameters, topics, lifecycle; no mathematics."""
