"""Likelihoods: normalised counts, drawn towards their diagonal, and the same again from disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError, StoreError
from afsim.likelihood import Likelihood, fit_likelihood

N = 9


def features(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make signed defocus with noise, and a reading that fails now and then."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, N - 1, count)
    values = np.arange(N) - truth[:, None] + rng.normal(0, 0.5, (count, N))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values, truth


def test_probabilities_sum_to_one_and_none_is_zero() -> None:
    fitted = fit_likelihood(*features(), 6)
    assert fitted.table.shape == (N, N, 7)
    assert fitted.bins == 7
    np.testing.assert_allclose(fitted.table.sum(axis=2), 1.0, rtol=1e-12)
    assert (fitted.table > 0).all()
    np.testing.assert_allclose(fitted.table[:, :, -1].mean(), 0.1, atol=0.03)


def test_with_many_stacks_it_is_the_share_of_readings() -> None:
    values, truth = features(20_000)
    edges = [-1.0, 0.0, 1.0]
    fitted = fit_likelihood(values, truth, edges, strength=1.0)
    here = np.floor(truth + 0.5) == 4
    shown = values[here, 6]
    counted = np.array([(np.isfinite(shown) & (np.digitize(shown, edges) == z)).mean() for z in range(4)])
    np.testing.assert_allclose(fitted.table[6, 4, :4], counted, atol=0.01)


def test_indices_that_were_never_in_focus_learn_from_the_others() -> None:
    values, truth = features()
    kept = np.floor(truth + 0.5) != 4
    fitted = fit_likelihood(values[kept], truth[kept], 6)
    whole = fit_likelihood(values, truth, fitted.edges)
    assert np.abs(fitted.table[:, 4] - whole.table[:, 4]).max() < 0.3
    # Slices on either side of the unseen focus still show opposite bins.
    assert fitted.table[0, 4].argmax() < fitted.table[8, 4].argmax()


def test_a_strong_prior_makes_diagonals_alike() -> None:
    table = fit_likelihood(*features(), 6, strength=1e9).table
    for apart in range(-3, 4):
        diagonal = np.array([table[k, k - apart] for k in range(N) if 0 <= k - apart < N])
        np.testing.assert_allclose(diagonal, np.broadcast_to(diagonal[0], diagonal.shape), atol=1e-5)


def test_bins_cover_everything_and_no_reading_has_its_own() -> None:
    fitted = fit_likelihood(*features(), [-1.0, 0.0, 2.5])
    np.testing.assert_array_equal(fitted.bin_of([-np.inf, -1.0, -0.5, 0.0, 9.0, np.nan]), [0, 1, 1, 2, 3, 4])
    logs = fitted.log_of(np.array([2, 3]), np.array([0.1, np.nan]))
    np.testing.assert_allclose(np.exp(logs), [fitted.table[2, :, 2], fitted.table[3, :, 4]])


def test_equal_readings_share_a_bin() -> None:
    values = np.where(np.arange(N) < 7, 0.0, 1.0) * np.ones((20, 1))
    fitted = fit_likelihood(values, np.full(20, 3.0), 8)
    np.testing.assert_array_equal(fitted.bin_of([0.0, 1.0, np.nan]), [0, 1, 2])


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    fitted = fit_likelihood(*features(), 6)
    fitted.save(tmp_path / "deep" / "likelihood.npz")
    again = Likelihood.load(tmp_path / "deep" / "likelihood.npz")
    np.testing.assert_array_equal(again.edges, fitted.edges)
    np.testing.assert_array_equal(again.table, fitted.table)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"version": 99},
        {"table": np.ones((2, 2, 3))},
        {"edges": np.array([object()], dtype=object)},
    ],
)
def test_files_that_are_no_likelihood_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "format": "afsim-likelihood",
        "version": 1,
        "edges": np.zeros(1),
        "table": np.full((2, 2, 3), 1 / 3),
    }
    np.savez(tmp_path / "good.npz", **good)
    assert Likelihood.load(tmp_path / "good.npz").bins == 3
    np.savez(tmp_path / "bad.npz", **{**good, **change})
    with pytest.raises(StoreError, match=r"bad\.npz"):
        Likelihood.load(tmp_path / "bad.npz")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no numbers")
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("text.npz", "single.npy", "missing.npz"):
        with pytest.raises(StoreError, match=name):
            Likelihood.load(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 4)), np.zeros(2)), r"got \(3, 4\) and \(2,\)"),
        ((np.zeros((3, 4)), np.full(3, np.nan)), "truth is known"),
        ((np.full((3, 4), np.nan), np.zeros(3)), "none but NaN"),
        ((np.zeros((3, 4)), np.zeros(3), [1.0, 0.0]), "rising"),
        ((np.zeros((3, 4)), np.zeros(3), 0), "at least 1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        fit_likelihood(*arguments)


@pytest.mark.parametrize(
    ("edges", "table"),
    [
        (np.zeros(2), np.full((2, 2, 4), 0.25)),
        (np.zeros(1), np.full((2, 3, 3), 1 / 3)),
        (np.zeros(1), np.ones((2, 2, 3))),
    ],
)
def test_parts_that_do_not_fit_are_refused(edges: np.ndarray, table: np.ndarray) -> None:
    with pytest.raises(AfsimError, match=r"likelihood (edges|table)"):
        Likelihood(edges, table)
