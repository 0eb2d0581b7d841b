"""How far a reproduced table agrees with the paper's: in the order of its rows, and in the size of their errors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from afsim.metrics import resampled_means

FloatArray = npt.NDArray[np.float64]

_BEST = 2  # the paper's two best rows of D* are the two envelopes, far ahead of the others


def rank_correlation(ours: FloatArray, paper: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation of values (..., R) with the paper's (R,); NaN where all are equal."""
    first = rankdata(ours, axis=-1) - (ours.shape[-1] + 1) / 2
    second = rankdata(paper) - (len(paper) + 1) / 2
    with np.errstate(invalid="ignore"):
        # einsum rather than a matrix product: the same bytes whatever the number of threads
        return np.asarray(
            np.einsum("...r,r->...", first, second) / np.sqrt((first**2).sum(axis=-1) * (second**2).sum())
        )


def log_ratio_rms(ours: FloatArray, paper: FloatArray) -> FloatArray:
    """Return the rms over rows of log(ours / paper) of errors (..., R); NaN where one of ours is 0."""
    with np.errstate(divide="ignore"):
        ratio = np.log(ours / paper)
    return np.asarray(np.sqrt((np.where(np.isfinite(ratio), ratio, np.nan) ** 2).mean(axis=-1)))


def agreement(
    kind: str, names: Sequence[str], errors: FloatArray, paper_rmse: FloatArray, scenes: Sequence[str]
) -> dict[str, object]:
    """Compare rows of one kind with the paper's.

    Parameters
    ----------
    kind : str
        Of the rows.
    names : sequence of R str
        The rows; at least two.
    errors : (R, N) float64
        Error of each row on each stack.
    paper_rmse : (R,) float64
        What the paper prints.
    scenes : sequence of N str
        The scene of each stack.

    Returns
    -------
    dict
        ``rank_correlation`` (Spearman's, of the RMSE) and ``log_ratio_rms``, with the ends ``_lo`` and ``_hi`` of
        their 95 % intervals over resampled scenes, the same ones for all rows; best and worst rows of both; the
        rows whose RMSE is smallest and largest against the paper's; whether the paper's two best rows are our two
        best (``same_best_two``), and in what share of the resamples.
    """
    rmse = np.sqrt((errors**2).mean(axis=1))
    drawn = resampled_means(list(errors**2), scenes, 0)
    resampled = np.full((1, len(names)), np.nan) if drawn is None else np.sqrt(drawn)
    row: dict[str, object] = {
        "kind": kind,
        "rows": len(names),
        "stacks": errors.shape[1],
        "scenes": len(set(scenes)),
    }
    for name, statistic in (("rank_correlation", rank_correlation), ("log_ratio_rms", log_ratio_rms)):
        low, high = np.percentile(statistic(resampled, paper_rmse), [2.5, 97.5])
        withheld = drawn is None
        row[name] = float(statistic(rmse, paper_rmse))
        row[f"{name}_lo"], row[f"{name}_hi"] = (float("nan"),) * 2 if withheld else (float(low), float(high))
    ratio = rmse / paper_rmse
    best_two = _best(paper_rmse)
    same = (np.sort(_best(resampled), axis=-1) == np.sort(best_two)).all(axis=-1)
    return {
        **row,
        "best": names[int(rmse.argmin())],
        "paper_best": names[int(paper_rmse.argmin())],
        "worst": names[int(rmse.argmax())],
        "paper_worst": names[int(paper_rmse.argmax())],
        "lowest": names[int(ratio.argmin())],
        "lowest_ratio": float(ratio.min()),
        "highest": names[int(ratio.argmax())],
        "highest_ratio": float(ratio.max()),
        "paper_best_two": "; ".join(names[i] for i in best_two),
        "same_best_two": set(_best(rmse).tolist()) == set(best_two.tolist()),
        "same_best_two_share": float("nan") if drawn is None else float(same.mean()),
    }


def _best(rmse: FloatArray) -> npt.NDArray[np.int64]:
    """Return the places (..., 2) of the smallest errors (..., R)."""
    return np.argsort(rmse, axis=-1, kind="stable")[..., :_BEST]
