"""How far are policies from the best that can be done? Regret against two optima, under more than one cost.

(a) The clairvoyant bound: the lens is told the truth (:mod:`afsim.clairvoyant`). No policy comes below it.
(b) The best that sees one disparity of each slice, and nothing else: the optimum of a search model whose likelihood
is fitted on a training set (:mod:`afsim.beliefplan`). It is what a policy may hope for that has to search.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from afsim.belief import prior_of
from afsim.beliefbounds import bracket
from afsim.beliefplan import SearchModel, make_search_model
from afsim.calibration import shipped_calibration
from afsim.calibrationfit import measure
from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.costs import CostModel, make_cost, regret
from afsim.errors import AfsimError
from afsim.experiments.budgets import Optimum, played
from afsim.experiments.compare import open_stacks, progress_bar
from afsim.experiments.seats import seated
from afsim.likelihood import Likelihood, fit_likelihood
from afsim.metrics import mean_interval
from afsim.policies import make
from afsim.progress import progress
from afsim.rollout import Arena, Episodes, budgets
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]

_ESTIMATOR: Final = "zncc"
_REACH: Final = 16
# Bounds, in indices, between readings of how far off the focus lies: each index apart where a search ends, coarser
# where only the direction counts. With one bin for no reading they are the most that can be gone through at n = 49.
# With 70 bins the exact values fall by a fifth (one step) and a tenth (two), fitted on 1,000 training stacks.
_BOUNDS: Final = (0.5, 1.5, 2.5, 4.5, 6.5, 9.5, 13.5, 19.5, 29.5)
# So many steps are not solved exactly (:func:`afsim.beliefbounds.bracket`), and more cost no more.
_MANY: Final = 3
# Of the tables, in characters, where the output is narrower: numbers are not cut.
_LEAST_WIDTH: Final = 136


@dataclass(frozen=True)
class OptimumConfig:
    """Who plays for what cost, and on what the second optimum is fitted."""

    train: Path
    """Stored set on which the disparity's likelihood is fitted: never the one that is played."""
    stacks: Path | None = None
    """The stored set that is played; the embedded demo set by default."""
    disparity: str = "zncc_disparity:16,pdaf,bayesian:disparity"
    """Policies that see only disparity, separated by commas."""
    others: str = "hill_climb,coarse_to_fine,curve_fit,hybrid,bayesian,sweep,oracle"
    """Policies that see other things, separated by commas."""
    steps: int = 6
    """Budgets 1 ... M."""
    costs: str = "error;error,move=0.05,time_ms=0.002"
    """Costs, separated by semicolons: error or squared, with changes; an index is worth 20 moves or 500 ms here."""
    out: Path = Path("out/optimum")
    """Folder for rows.csv and table.md."""
    seed: int = 0
    """Of the random draws of policies, and of the bracket."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Second(NamedTuple):
    """Optimum (b) by start, (n,) each: no policy that sees the bins alone costs less than ``lower`` in the model.

    One costs ``upper``; they are equal where ``exact``.
    """

    lower: FloatArray
    upper: FloatArray
    exact: bool


class Study(NamedTuple):
    """A row for each cost, policy and budget, and what is to be known."""

    rows: list[dict[str, object]]
    notes: list[str]


# ---------------------------------------------------------------------- the second optimum
def fit_disparity(train: StackSet, *, shown: bool = False) -> Likelihood:
    """Return the likelihood of what a calibrated disparity says of how far off the focus lies, in indices.

    Raises
    ------
    AfsimError
        For stacks without two views, distances or labels.
    """
    with progress(shown=shown, transient=True) as bar:
        task = bar.add_task("measuring disparity", total=int(train.labelled.sum()))
        seen = measure(train, _ESTIMATOR, reach=_REACH, progress=lambda done: bar.advance(task, done))
    assert train.diopters is not None
    # The shipped calibration turns pixels into indices, as the policies do.
    made, index = shipped_calibration(_ESTIMATOR, _REACH), np.broadcast_to(np.arange(train.n), seen.shift.shape)
    region = np.repeat(seen.region, train.n, axis=0)
    told = made.fractional(seen.shift.ravel(), index.ravel(), region, train.diopters).reshape(seen.shift.shape)
    bounds = np.array(_BOUNDS)[np.array(_BOUNDS) < train.n]
    return fit_likelihood(told - index, seen.truth, np.concatenate([-bounds[::-1], bounds]))


def search_model(likelihood: Likelihood, train: StackSet, cost: CostModel, task: FocusTask) -> SearchModel:
    """Return the model of a task's search: what a likelihood shows, with the training set's prior."""
    return make_search_model(
        prior_of(train.truth, train.n),
        likelihood,
        cost,
        timing=task.spec.timing,
        exposure_ms=task.camera.sensor.exposure_ms,
        diopters=task.spec.diopters,
    )


def second_optima(model: SearchModel, *, seed: int = 0) -> dict[int, Second]:
    """Return optimum (b) of 1, 2 and 3 steps; the bracket of 3 holds for more, too."""
    ends = {m: bracket(model, m, seed=seed) for m in (1, 2, _MANY)}
    return {m: Second(each.lower, each.upper, m < _MANY) for m, each in ends.items()}


# ---------------------------------------------------------------------- the study
def run(
    config: OptimumConfig,
    *,
    stacks: StackSet | None = None,
    train: StackSet | None = None,
    console: Console | None = None,
) -> Study:
    """Play every policy under every budget. ``stacks`` and ``train`` replace those of ``config``.

    Raises
    ------
    AfsimError
        For sets without a truth or that do not fit together, or options that do not exist.
    """
    for name, least in (("steps", 1), ("seed", 0)):
        check_whole(name, getattr(config, name), least=least)
    costs = {text: make_cost(text) for text in costs_of(config.costs)}
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    train = train if train is not None else StackSet.open(config.train)
    check_sets(stacks, train)
    camera = Camera(stacks)
    arena = Arena(camera, seed=config.seed)
    tasks = [FocusTask(camera, budget=m, reward="none") for m in budgets(config.steps)]
    names, notes = seated(f"{config.disparity},{config.others}".strip(","), tasks[-1].spec)
    blind = {name.strip() for name in config.disparity.split(",")}
    likelihood = fit_disparity(train, shown=not config.quiet)
    second = {
        text: second_optima(search_model(likelihood, train, cost, tasks[-1]), seed=config.seed)
        for text, cost in costs.items()
    }
    first = {text: Optimum(arena, cost) for text, cost in costs.items()}
    rows: list[dict[str, object]] = []
    with progress_bar(console, names, len(tasks) * len(arena.stack), config.quiet) as advance:
        for name in names:
            seats = [make(name, task.spec) for task in tasks]
            for episodes, task in played(arena, tasks, name, seats, advance):
                bound = {text: one.of(task, whole_stack=episodes.whole_stack) for text, one in first.items()}
                for text, cost in costs.items():
                    # A whole stack takes many steps, whatever the budget.
                    held = second[text][_MANY if episodes.whole_stack else min(task.spec.budget, _MANY)]
                    sees = "disparity" if name in blind else "other"
                    told = {"cost": text, "policy": name, "sees": sees, "steps": task.spec.budget}
                    rows.append({**told, **compared(episodes, stacks, cost, bound[text], held)})
            advance(name, None)
    order = {text: place for place, text in enumerate(costs)}
    rows.sort(key=lambda row: order[str(row["cost"])])
    return Study(rows, [*notes, *fitted_on(train, likelihood)])


def compared(
    episodes: Episodes, stacks: StackSet, cost: CostModel, first: FloatArray | None, second: Second
) -> dict[str, object]:
    """Return what episodes cost, and how much more than either optimum."""
    assert first is not None  # an ideal lens has a bound
    scene, charged = [stacks.scenes[i] for i in episodes.stack], cost.of(episodes, stacks)
    more = {
        "regret_a": charged - first,
        "regret_b": regret(episodes, stacks, cost, second.lower),
        "regret_b_least": regret(episodes, stacks, cost, second.upper),
    }
    row: dict[str, object] = {
        "episodes": len(charged),
        "kind": "whole-stack" if episodes.whole_stack else "multi-step",
        "mean_cost": float(charged.mean()),
        "optimum_a": float(first.mean()),
        "optimum_b": float(second.lower[episodes.start].mean()),
        "optimum_b_most": float(second.upper[episodes.start].mean()),
        "bound_b": "exact" if second.exact else "bracket",
    }
    for name, values in more.items():
        row[name] = float(values.mean())
        row[f"{name}_lo"], row[f"{name}_hi"] = mean_interval(values, scene)
    return row


def costs_of(text: str) -> list[str]:
    """Read costs separated by semicolons."""
    found = list(dict.fromkeys(word.strip() for word in text.split(";") if word.strip()))
    if not found:
        raise AfsimError(f"no cost to compare by; expected some, separated by semicolons, got {text!r}")
    return found


def check_sets(stacks: StackSet, train: StackSet) -> None:
    """Raise unless one set can be played with what is fitted on the other."""
    if not stacks.labelled.all():
        raise AfsimError("the study needs a truth or a label for every stack")
    if stacks.digest == train.digest:
        raise AfsimError("the training set is the one that is played; expected another")
    if stacks.diopters is None or train.diopters is None:
        raise AfsimError("the study needs known focus distances, of the set that is played and of the training set")
    if stacks.n != train.n or not np.allclose(stacks.diopters, train.diopters):
        raise AfsimError(
            f"the training set must have the same focus distances as the one that is played, got n = {train.n} and "
            f"{stacks.n}, or other distances"
        )


def fitted_on(train: StackSet, likelihood: Likelihood) -> list[str]:
    """Return on what (b) was fitted, in words."""
    return [
        f"(b) is fitted on {int(train.labelled.sum())} stacks of another set: {_ESTIMATOR}, reach {_REACH}, "
        f"shipped calibration, {likelihood.bins} bins, that for no reading included."
    ]


def main(config: OptimumConfig) -> int:
    """Run the study, print its tables, and write rows.csv and table.md."""
    from afsim.experiments.optimum_report import MEANING, tables, write_text  # here: it builds on this module

    with staged_files(config.out) as folder:
        found = run(config)
        write_table(found.rows, folder / "rows.csv")
        write_text(found, config, folder / "table.md")
    if not config.quiet:
        console = Console()
        console.width = max(console.width, _LEAST_WIDTH)
        for cost, (heading, *lines) in tables(found.rows).items():
            screen = Table(title=f"cost: {cost}")
            for column in heading:
                screen.add_column(column, no_wrap=column == "policy")
            for line in lines:
                screen.add_row(*line)
            console.print(screen)
        console.print(MEANING, *found.notes, sep="\n", markup=False)
        print(f"Written: {config.out / 'table.md'} and rows.csv beside it")
    return 0
