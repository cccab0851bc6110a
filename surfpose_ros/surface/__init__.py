"""Surfaces: what one video becomes, a coarse mesh with features on its vertices."""
