"""A checksum of tensors, kept beside them: one flipped bit of a weight is seen by nothing else."""

import hashlib
from collections.abc import Mapping

import numpy as np
from torch import Tensor


def checksum(tensors: Mapping[str, np.ndarray] | Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, in whatever order they come; tensors are on the CPU.

    Example:
        >>> one, two = np.zeros(3), np.ones((2, 2))
        >>> checksum({"a": one, "b": two}) == checksum({"b": two, "a": one})
        True
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        array = np.asarray(tensor)
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
