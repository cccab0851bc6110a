"""Readers of pose data sets, as their authors publish them, into `PoseSample`s in our frames."""
