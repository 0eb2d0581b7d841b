"""The numbers of a comparison: the paper's columns, what a search cost, and how sure the intervals are."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.policy import Status
from afsim.rollout import Episodes
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]

IN_FOCUS: Final = 1.0
"""Largest exact error, in indices, of an episode that ends in focus: ``success``."""
WRONG: Final = 2.0
"""Exact error above which a policy that says FOCUSED is wrong: ``focused_but_wrong``."""

PAPER_COLUMNS: Final = ("eq0", "le1", "le2", "le4", "mae", "rmse")
_TOLERANCES: Final = (0, 1, 2, 4)
# 2,000 resamples put the ends of a 95 % interval within a few per cent of its width (Efron and Tibshirani, 1993).
_RESAMPLES: Final = 2000
_NAN: Final = float("nan")


class Reference(NamedTuple):
    """What the exact errors of a row are compared with, episode by episode."""

    name: str
    error: FloatArray
    """(E,) exact errors of the same episodes, as :func:`exact_errors` gives them."""


def labels(stacks: StackSet) -> npt.NDArray[np.int64]:
    """Return the label (N,) of labelled stacks; a truth without a label is rounded to one."""
    known = stacks.best_index
    return np.where(known >= 0, known, np.floor(np.nan_to_num(stacks.truth) + 0.5)).astype(np.int64)


def index_error(position: FloatArray, best_index: npt.NDArray[np.int64]) -> FloatArray:
    """Return the paper's error: the position rounded half up, minus the label (integers, as float64)."""
    return np.floor(position + 0.5) - best_index


def exact_errors(episodes: Episodes, stacks: StackSet, *, step: int = -1) -> FloatArray:
    """Return how far (E,) each lens is from the exact truth after a step, the last by default; NaN without one."""
    return np.asarray(np.abs(episodes.positions[:, step] - stacks.truth[episodes.stack]))


def paper_columns(error: FloatArray) -> dict[str, float]:
    """Return the paper's six columns of integer errors (E,): = 0, <= 1, <= 2, <= 4, MAE, RMSE (section 7)."""
    size = np.abs(error)
    hits = {name: float((size <= t).mean()) for name, t in zip(PAPER_COLUMNS, _TOLERANCES, strict=False)}
    return {**hits, "mae": float(size.mean()), "rmse": float(np.sqrt((error**2).mean()))}


def scene_intervals(error: FloatArray, scene: Sequence[str], *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the paper's columns by resampling whole scenes.

    Patches of one scene are not independent, so scenes are drawn, with all their episodes.

    Parameters
    ----------
    error : (E,) float64
        Integer errors.
    scene : sequence of E str
        The scene of each episode.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        Column name to (low, high); NaN with fewer than two scenes.
    """
    size = np.abs(error)
    means = resampled_means([*((size <= t).astype(np.float64) for t in _TOLERANCES), size, error**2], scene, seed)
    if means is None:
        return dict.fromkeys(PAPER_COLUMNS, (float("nan"), float("nan")))
    means[:, -1] = np.sqrt(means[:, -1])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(PAPER_COLUMNS)}


def mean_interval(values: FloatArray, scene: Sequence[str], *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values (E,) by resampling whole scenes; NaN with fewer than two.

    For a paired comparison give the differences of two policies, or of two cameras, episode by episode.
    """
    means = resampled_means([values], scene, seed)
    if means is None:
        return float("nan"), float("nan")
    low, high = np.percentile(means[:, 0], [2.5, 97.5])
    return float(low), float(high)


def resampled_means(columns: Sequence[FloatArray], scene: Sequence[str], seed: int) -> FloatArray | None:
    """Return the means (resamples, columns) of per-episode values over drawn scenes; None with fewer than two."""
    if len(scene) == 0:
        return None
    _, group = np.unique(np.asarray(scene), return_inverse=True)
    scenes = int(group.max()) + 1
    if scenes < 2:
        return None
    weighted = [*columns, np.ones(len(group))]
    sums = np.stack([np.bincount(group, weights=column, minlength=scenes) for column in weighted], axis=1)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(scenes, np.full(scenes, 1.0 / scenes), size=_RESAMPLES)
    # einsum rather than a matrix product: the same bytes whatever the number of threads
    totals = np.einsum("rs,sc->rc", drawn.astype(np.float64), sums)
    return np.asarray(totals[:, :-1] / totals[:, -1:])


def summarize(
    policy: str,
    steps: int,
    episodes: Episodes,
    stacks: StackSet,
    sharpness: FloatArray,
    *,
    charged: FloatArray | None = None,
    optimum: FloatArray | None = None,
    reference: Reference | None = None,
) -> dict[str, object]:
    """Return one row of a comparison (fields of :data:`afsim.rows.FIELDS`).

    Parameters
    ----------
    policy : str
        Its name.
    steps : int
        The budget it was given.
    episodes : Episodes
        What it did.
    stacks : StackSet
        On what.
    sharpness : (N, n) float64
        Relative sharpness of every slice.
    charged : (E,) float64, optional
        What the episodes cost (:meth:`afsim.costs.CostModel.of`); by default their exact errors.
    optimum : (E,) float64, optional
        Cost below which no policy comes in the mean (:func:`afsim.clairvoyant.clairvoyant_bound`); regret is what
        an episode costs above it.
    reference : Reference, optional
        What the exact errors are compared with.

    Notes
    -----
    Whatever needs a label is of the labelled stacks alone, and NaN (withheld) where there are none.
    """
    final = episodes.positions[:, -1]
    status = episodes.status[:, -1]
    names = stacks.scenes
    scene = [names[i] for i in episodes.stack]
    nearest = np.floor(final + 0.5).clip(0, stacks.n - 1).astype(np.int64)
    return {
        "policy": policy,
        "kind": "whole-stack" if episodes.whole_stack else "multi-step",
        "steps": steps,
        "episodes": len(final),
        "stacks": len(stacks),
        "scenes": len(set(names)),
        **_accuracy(episodes, stacks, scene),
        **_comparison(exact_errors(episodes, stacks), scene, charged, optimum, reference),
        "observations": float(episodes.observations.mean()),
        "moves": float(episodes.moves.mean()),
        "travel_index": float(episodes.travel_index.mean()),
        "travel_um": float(episodes.travel_um.mean()),
        "reversals": float(episodes.reversals.mean()),
        "time_ms": float(episodes.times[:, -1].mean()),
        "focused": float((status == Status.FOCUSED).mean()),
        "failed": float((status == Status.FAILED).mean()),
        "relative_sharpness": float(sharpness[episodes.stack, nearest].mean()),
    }


def _accuracy(episodes: Episodes, stacks: StackSet, scene: list[str]) -> dict[str, object]:
    final = episodes.positions[:, -1]
    truth = stacks.truth[episodes.stack]
    label = labels(stacks)[episodes.stack]
    known = ~np.isnan(truth)
    row: dict[str, object] = {"labelled": int(known.sum())}
    if not known.any():
        nan = float("nan")
        withheld = [name + end for name in PAPER_COLUMNS for end in ("", "_lo", "_hi")]
        withheld += ["exact_mae", "success", "p95", "worst_start_mae", "focused_but_wrong", "reachable", "clamped"]
        withheld += [name + end for name in ("mae", "exact_mae") for end in ("_reachable", "_unreachable")]
        return {**row, **dict.fromkeys(withheld, nan), "worst_start": -1}
    error = index_error(final, label)[known]
    intervals = scene_intervals(error, [name for name, k in zip(scene, known, strict=True) if k])
    for name, value in paper_columns(error).items():
        row[name], (row[f"{name}_lo"], row[f"{name}_hi"]) = value, intervals[name]
    exact = np.abs(final - truth)[known]
    start = episodes.start[known]
    by_start = np.bincount(start, weights=np.abs(error)) / np.maximum(np.bincount(start), 1)
    focused = episodes.status[known, -1] == Status.FOCUSED
    within = episodes.reachable[known]
    return {
        **row,
        "reachable": float(within.mean()),
        "clamped": float(episodes.clamped[known].mean()),
        "mae_reachable": _mean(np.abs(error)[within]),
        "mae_unreachable": _mean(np.abs(error)[~within]),
        "exact_mae_reachable": _mean(exact[within]),
        "exact_mae_unreachable": _mean(exact[~within]),
        "exact_mae": float(exact.mean()),
        "success": float((exact <= IN_FOCUS).mean()),
        "p95": float(np.percentile(np.abs(error), 95)),
        "worst_start": int(by_start.argmax()),
        "worst_start_mae": float(by_start.max()),
        "focused_but_wrong": float((focused & (exact > WRONG)).mean()),
    }


def _comparison(
    exact: FloatArray,
    scene: list[str],
    charged: FloatArray | None,
    optimum: FloatArray | None,
    reference: Reference | None,
) -> dict[str, object]:
    """Return the intervals of exact error and success, and what compares them with an optimum and a reference."""
    known, nothing = ~np.isnan(exact), np.full(len(exact), _NAN)
    values = {
        "exact_mae": exact,
        "success": (exact <= IN_FOCUS).astype(np.float64),
        "regret": (exact if charged is None else charged) - (nothing if optimum is None else optimum),
        "difference": exact - (nothing if reference is None else reference.error),
    }
    columns = [column[known] for column in values.values()]
    means = resampled_means(columns, [name for name, k in zip(scene, known, strict=True) if k], 0)
    row: dict[str, object] = {"against": "" if reference is None else reference.name}
    for i, (name, column) in enumerate(zip(values, columns, strict=True)):
        ends = (_NAN, _NAN) if means is None else np.percentile(means[:, i], [2.5, 97.5])
        row[f"{name}_lo"], row[f"{name}_hi"] = map(float, ends)
        if name in ("regret", "difference"):
            row[name] = _mean(column)
    row["optimum"] = _NAN if optimum is None else _mean(optimum[known])
    return row


def _mean(values: FloatArray) -> float:
    """Return the mean, NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")
