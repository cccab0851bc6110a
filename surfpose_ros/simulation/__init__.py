"""Parametric objects and a renderer: a camera over a turntable, with ground truth."""
