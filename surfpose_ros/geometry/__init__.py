"""Pure functions on tensors: rotations, similarities, pinhole cameras, meshes, visibility."""
