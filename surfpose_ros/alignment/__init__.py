"""Alignment: every video of a category in one canonical frame, with no label."""
