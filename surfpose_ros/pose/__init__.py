"""Pose of never-seen objects of a category in one image, and over time."""
