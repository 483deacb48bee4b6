import inspect

import numpy as np
import pytest
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lapack

from emotion_estimators.classifiers._blocked_cholesky import solve_in_blocks


def system(n, n_targets=3):
    """An RBF kernel with 0.2 on its diagonal, float32, and targets."""
    random = np.random.default_rng(0)
    points = random.normal(size=(n, 5))
    distances = ((points[:, np.newaxis] - points) ** 2).sum(axis=2)
    kernel = np.exp(-0.1 * distances) + 0.2 * np.eye(n)
    return kernel.astype(np.float32), random.normal(size=(n, n_targets)).astype(np.float32)


def rows_of(matrix):
    return lambda rows: np.asfortranarray(matrix[rows, : rows.stop])


@pytest.mark.parametrize("block", [1, 7, 64, 100, 128, 1000])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_equals_scipy(block, n_targets):
    matrix, right = system(128, n_targets)
    expected = cho_solve(cho_factor(matrix), right)
    solution = solve_in_blocks(rows_of(matrix), right, block=block)
    assert solution.dtype == np.float32
    # condition number of some hundred times 1e-7
    assert np.linalg.norm(solution - expected) <= 1e-4 * np.linalg.norm(expected)


def test_what_is_given_is_kept_and_what_stands_above_the_diagonal_is_not_read():
    matrix, right = system(50)
    given = right.copy()
    expected = solve_in_blocks(rows_of(matrix), right, block=20)
    upper = np.where(np.triu(np.ones_like(matrix), 1), np.nan, matrix)
    np.testing.assert_array_equal(solve_in_blocks(rows_of(upper), right, block=20), expected)
    np.testing.assert_array_equal(right, given)


@pytest.mark.parametrize("row", [0, 3, 25, 49])
def test_a_matrix_that_is_not_positive_definite_is_refused(row):
    matrix, right = system(50)
    matrix[row, row] = -1
    with pytest.raises(LinAlgError, match=f"minor of order {row + 1} is not positive"):
        solve_in_blocks(rows_of(matrix), right, block=20)


def test_lapack_is_given_a_block_at_most(lapack_rows):
    matrix, right = system(150)
    solve_in_blocks(rows_of(matrix), right, block=32)
    assert lapack_rows
    assert max(lapack_rows) == 32


def test_blocks_are_smaller_than_where_openblas_fails():
    assert inspect.signature(solve_in_blocks).parameters["block"].default <= 16_384


@pytest.fixture
def lapack_rows(monkeypatch):
    """Numbers of rows of all matrices that SciPy's functions of LAPACK are given."""
    seen = []

    def spied(function):
        def call(*arguments, **settings):
            arrays = [value for value in arguments if isinstance(value, np.ndarray)]
            seen.extend(max(array.shape) for array in arrays if array.ndim == 2)
            return function(*arguments, **settings)

        return call

    for name in dir(lapack):
        if name[:1] in "sdcz" and callable(getattr(lapack, name)):
            monkeypatch.setattr(lapack, name, spied(getattr(lapack, name)))
    return seen
