"""``afsim fit``: what a trained network's probabilities are worth, on stacks that it has not seen in training.

``temperature`` makes them as sure as they are right; ``learned_bayesian`` makes a likelihood of them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize_scalar

from afsim.belief import normalised
from afsim.calibration import Provenance
from afsim.errors import AfsimError, StoreError
from afsim.modelfile import Model, load, save
from afsim.modelkinds import model_kind
from afsim.networklikelihood import NetworkLikelihood, file_hash
from afsim.options import command_line
from afsim.progress import progress
from afsim.slicebank import SliceBank
from afsim.slicepaths import lanes_of, logits_of
from afsim.stackset import StackSet
from afsim.temperature import TEMPERATURE, fit_temperature, negative_log_likelihood, split_truth

FloatArray = npt.NDArray[np.float64]

# Smoothing of what 200 stacks leave uneven, in indices: of the prior, and of profiles along places (assumed).
_SMOOTH_PRIOR: Final = 2.0
_SMOOTH_PROFILE: Final = 1.5
# How much of the prior is that every index is as likely, and what is added to each mean probability: nothing is
# impossible (assumed, as for the fitted Bayesian policy).
_OPEN: Final = 0.05
_LEAST: Final = 1e-5
# Slices of each stack that are drawn at random for the overlap, and how often.
_DRAWN: Final = (2, 3, 4, 6)
_DRAWS: Final = 4


@dataclass(frozen=True)
class FitTemperatureConfig:
    """Fit the temperature of a network of one slice, and store it in its file."""

    network: Path
    """File made by 'afsim train i1' or 'afsim train d1'; it is replaced."""
    stacks: Path
    """Set of labelled stacks that it was not trained on: never the one that policies are then tested on."""
    quiet: bool = False
    """Nothing on the screen."""


@dataclass(frozen=True)
class FitLearnedBayesianConfig:
    """Fit what a network's readings are worth to the learned Bayesian policy, and write it to a file.

    Use the file with ``afsim compare --policies 'learned_bayesian;model=NETWORK;likelihood=FILE'``.
    """

    network: Path
    """File made by 'afsim train i1' or 'afsim train d1'; first 'afsim fit temperature'."""
    stacks: Path
    """Set of labelled stacks that it was not trained on: never the one that policies are then tested on."""
    out: Path
    """File to write (JSON); one that is there is replaced."""
    seed: int = 0
    """Of the slices that are drawn to fit the overlap on."""
    quiet: bool = False
    """Nothing on the screen."""


def tempered(config: FitTemperatureConfig) -> Model:
    """Return the network with its temperature on record."""
    model, stacks = _open(config.network, config.stacks)
    logits, truth = readings(model, stacks, quiet=config.quiet)
    temperature = fit_temperature(logits.reshape(-1, stacks.n), np.repeat(truth, stacks.n))
    return model._replace(record=replace(model.record, metrics={**model.record.metrics, TEMPERATURE: temperature}))


def temperature_main(config: FitTemperatureConfig) -> int:
    """Fit the temperature, rewrite the file, and say what was found."""
    model = tempered(config)
    save(model.network, config.network, model.record)
    if not config.quiet:
        print(f"{config.network}: temperature {model.record.metrics[TEMPERATURE]:.3f}")
    return 0


def run(config: FitLearnedBayesianConfig) -> NetworkLikelihood:
    """Return the likelihood, fitted."""
    model, stacks = _open(config.network, config.stacks)
    logits, truth = readings(model, stacks, quiet=config.quiet)
    logs = normalised(logits / float(model.record.metrics.get(TEMPERATURE, 1.0)))
    count = len(truth)
    source = Provenance(
        config.stacks.resolve().name,
        stacks.digest,
        count,
        count * stacks.n,
        command_line("fit learned_bayesian", config),
    )
    return fit(np.exp(logs), truth, file_hash(config.network), config.seed, source)


def main(config: FitLearnedBayesianConfig) -> int:
    """Fit, write the file, and say what was found."""
    if config.out.is_dir():
        raise StoreError(f"{config.out} is a folder; expected a file to write a network likelihood to")
    fitted = run(config)
    fitted.save(config.out)
    if not config.quiet:
        print(f"{config.out}: overlap {fitted.overlap:.2f} ({fitted.provenance.stacks} stacks)")
    return 0


def fit(
    shares: FloatArray, truth: FloatArray, network: str, seed: int, provenance: Provenance
) -> NetworkLikelihood:
    """Return the likelihood, from what a network says of every slice (N, n, n) of stacks with known truth (N,)."""
    n = shares.shape[1]
    usual = gaussian_filter1d(split_truth(truth, n).mean(axis=0), _SMOOTH_PRIOR, mode="nearest")
    prior = (1.0 - _OPEN) * usual / usual.sum() + _OPEN / n
    alone = NetworkLikelihood(network, 0.0, prior, profile_of(shares, truth), provenance)
    return replace(alone, overlap=_overlap(alone, shares, truth, seed))


def profile_of(shares: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the mean probabilities (2n-1, 2n-1) by where the lens and an index lie from the focus."""
    n = shares.shape[1]
    total, count = np.zeros((2 * n - 1, 2 * n - 1)), np.zeros((2 * n - 1, 2 * n - 1))
    for said, focus in zip(shares, np.floor(truth + 0.5).clip(0, n - 1).astype(np.int64), strict=True):
        around = slice(n - 1 - focus, 2 * n - 1 - focus)
        total[around, around] += said
        count[around, around] += 1.0
    total, count = (gaussian_filter1d(each, _SMOOTH_PROFILE, axis=0, mode="nearest") for each in (total, count))
    return np.asarray(total / np.maximum(count, _LEAST) + _LEAST)


def _overlap(likelihood: NetworkLikelihood, shares: FloatArray, truth: FloatArray, seed: int) -> float:
    """Return the overlap under which the truths are likeliest, a few slices of each stack drawn at random."""
    rng, n = np.random.default_rng(seed), likelihood.n
    logs, lanes = likelihood.log_of(shares), np.arange(len(shares))[:, None]
    looks = np.repeat(_DRAWN, _DRAWS)
    sums = [logs[lanes, rng.random(shares.shape[:2]).argsort(axis=1)[:, :count]].sum(axis=1) for count in looks]
    evidence, focus = np.concatenate(sums), np.tile(truth.clip(0, n - 1), len(sums))
    of = np.repeat(looks, len(truth))
    found = minimize_scalar(
        lambda overlap: negative_log_likelihood(
            replace(likelihood, overlap=overlap).log_belief(evidence, of), focus
        ),
        bounds=(0.0, 1.0),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(found.x)


def readings(model: Model, stacks: StackSet, *, quiet: bool) -> tuple[FloatArray, FloatArray]:
    """Return what a network of one slice says of every slice of all labelled stacks, and their truths.

    Returns
    -------
    logits : (N, n, n) float64
        By stack, slice looked at, and index.
    truth : (N,) float64
    """
    chosen = np.flatnonzero(stacks.labelled)
    if chosen.size == 0:
        raise AfsimError(f"{stacks!r} has no labelled stack")
    lanes = lanes_of(model_kind(_name(model)), chosen, stacks.n)
    with progress(shown=not quiet, transient=True) as bar:
        task = bar.add_task("what the network says", total=len(lanes))
        bank = SliceBank(stacks, torch.device("cpu"))
        logits = logits_of(model.network, bank, lanes, progress=lambda done: bar.advance(task, done))
    shape = (len(chosen), stacks.n, stacks.n)
    return logits.double().numpy().reshape(shape), stacks.truth[chosen]


def _name(model: Model) -> str:
    return str(model.record.training.get("model"))


def _open(network: Path, path: Path) -> tuple[Model, StackSet]:
    model, stacks = load(network), StackSet.open(path)
    if _name(model) not in ("i1", "d1"):
        raise AfsimError(f"{network} is the model {_name(model)}, expected one of a single slice: i1 or d1")
    if (stacks.n, stacks.geometry.views >= model.network.config.views) != (model.network.config.n, True):
        raise AfsimError(
            f"{network} is for {model.network.config.n} slices of {model.network.config.views} view(s), but {path} "
            f"has {stacks.n} of {stacks.geometry.views}"
        )
    return model, stacks
