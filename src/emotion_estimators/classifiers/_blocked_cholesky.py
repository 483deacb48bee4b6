"""Solve a large symmetric positive definite system by Cholesky factorization in blocks.

LAPACK is called for the blocks on the diagonal alone: OpenBLAS's own factorization of many rows
was seen to end the process with a segmentation fault (28,709 rows on Intel processors with
AVX-512; 26,000 worked). All else is products of matrices. Half of the matrix is in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, blas, lapack

__all__ = ["solve_in_blocks"]

# Rows that LAPACK gets at most. The blocks on the diagonal are held whole, so the memory beside the
# half grows with it. At 20,000 rows blocks of 2,048, 3,072 and 5,000 rows took 1.14, 1.02 and 1.00
# of the time of SciPy's cho_solve.
_BLOCK = 3072

_Singles = NDArray[np.float32]


def solve_in_blocks(
    rows_of: Callable[[slice], NDArray[Any]], right: _Singles, *, block: int = _BLOCK
) -> _Singles:
    """Return the solution (n, k) of a positive definite system with right-hand sides (n, k).

    `rows_of` is asked for each block of rows in turn and returns what stands in them up to and
    with the diagonal, (block, rows.stop), as a float32 array in Fortran order, which becomes the
    factor. Memory is ``2 * n * (n + block)`` bytes. Raises LinAlgError where the matrix is not
    positive definite.
    """
    n_rows = len(right)
    blocks = [slice(start, min(start + block, n_rows)) for start in range(0, n_rows, block)]
    factor: list[_Singles] = []
    for rows in blocks:
        row = rows_of(rows)  # (block, rows.stop); its slices of columns are changed in place
        for before, above in zip(blocks, factor, strict=False):
            tile, done = row[:, before], slice(before.start)
            if before.start:
                blas.sgemm(
                    -1, row[:, done], above[:, done], beta=1, c=tile, trans_b=1, overwrite_c=1
                )
            blas.strsm(1, above[:, before], tile, side=1, lower=1, trans_a=1, overwrite_b=1)
        corner = row[:, rows]
        if rows.start:
            blas.ssyrk(-1, row[:, : rows.start], beta=1, c=corner, lower=1, overwrite_c=1)
        _, info = lapack.spotrf(corner, lower=1, clean=0, overwrite_a=1)
        if info:
            raise LinAlgError(f"the leading minor of order {rows.start + info} is not positive")
        factor.append(row)

    solution = np.array(right.T, np.float32, order="F")  # (k, n): slices of rows are contiguous
    for rows, row in zip(blocks, factor, strict=True):
        part = solution[:, rows]
        part -= solution[:, : rows.start] @ row[:, : rows.start].T
        blas.strsm(1, row[:, rows], part, side=1, lower=1, trans_a=1, overwrite_b=1)
    for rows, row in zip(reversed(blocks), reversed(factor), strict=True):
        part = solution[:, rows]
        blas.strsm(1, row[:, rows], part, side=1, lower=1, overwrite_b=1)
        solution[:, : rows.start] -= part @ row[:, : rows.start]
    return solution.T
