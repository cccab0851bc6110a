"""Products and solutions of many small matrices, as a CPU takes them best, and compiled for a GPU."""

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` of matrices with three rows or columns somewhere."""
    # Compiled, sums join the steps beside them; each product would be a step more.
    if torch.compiler.is_compiling():
        return (left[..., None] * right[..., None, :, :]).sum(dim=-2)
    return left @ right


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """The solutions ``(K, N)`` of positive definite ``matrix (K, N, N) @ x = right (K, N)``."""
    if torch.compiler.is_compiling():  # a GPU's library takes many steps for such small matrices
        return eliminate(matrix, right)
    return torch.linalg.solve_ex(matrix, right)[0]


def eliminate(matrix: Tensor, right: Tensor) -> Tensor:
    """As `torch.linalg.solve` of positive definite matrices, which need no pivots: Gauss and Jordan's
    elimination written out.
    """
    rows = torch.cat([matrix, right[..., None]], dim=-1)
    units = torch.eye(matrix.shape[-1], device=matrix.device)
    for index, unit in enumerate(units.unbind()):
        pivot = rows[:, index : index + 1] / rows[:, index : index + 1, index : index + 1]
        rows = rows - (rows[:, :, index : index + 1] - unit[:, None]) * pivot
    return rows[..., -1]
