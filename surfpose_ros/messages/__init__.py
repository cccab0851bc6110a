"""Pure conversions between ROS messages and arrays."""
