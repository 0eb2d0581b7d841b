"""``afsim fit learned_depth``: train and calibrate our stand-in for "Learned Depth" on stacks of known depth."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from afsim.affineloss import affine_invariant_loss
from afsim.augment import AUGMENTATIONS, augmented
from afsim.calibration import Provenance
from afsim.checkpoint import Reached, read_checkpoint, write_checkpoint
from afsim.checks import check_whole
from afsim.depthcalibration import calibrate_depth
from afsim.depthfile import DepthModel, save_depth
from afsim.depthnetwork import DepthConfig, DepthNetwork, make_depth_network
from afsim.dualpixel import Axis
from afsim.errors import AfsimError, StoreError
from afsim.lesson import seed_of_step
from afsim.networkinput import Observations
from afsim.optics import diopters_of_index
from afsim.options import command_line
from afsim.progress import progress
from afsim.recipe import Recipe
from afsim.slicebank import SliceBank
from afsim.slicepaths import Lanes
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.trainlog import TrainLog

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Every tenth stack is not trained on: it tells how well the rest is learned, and how far values can be trusted.
_HELD_OUT: Final = 10
# As in the recipe for two cores; the rate is an option.
_BETA1: Final = 0.9
_WEIGHT_DECAY: Final = 0.02
_SLICES_AT_ONCE: Final = 256
# Stacks that the calibration looks at: two parameters a slice need no more.
_CALIBRATED: Final = 500


@dataclass(frozen=True)
class FitLearnedDepthConfig:
    """Train a network of relative inverse depth, calibrate it slice by slice, and write both to a file.

    Use the file with ``afsim compare --policies learned_depth:FILE``.
    """

    stacks: Path
    """Set of dual-pixel stacks with labels and known distances: never the one that policies are then tested on."""
    out: Path
    """File to write (safetensors); log and checkpoint lie beside it, as .csv and .checkpoint."""
    steps: int = 3000
    """Gradient steps."""
    groups: int = 4
    """Groups in a step, each of patches at one slice index, in place of a photograph."""
    group: int = 8
    """Patches in a group; of two or fewer nothing would be left to learn."""
    rate: float = 1e-3
    """Largest learning rate, of one cycle."""
    seed: int = 0
    """Of weights, batches, augmentation and noise."""
    validate_every: int = 500
    """Steps from one row of the log, and checkpoint, to the next."""
    resume: bool = False
    """Go on from the checkpoint, where there is one: what comes out is the same, bit for bit."""
    quiet: bool = False
    """No progress bar, and nothing on the screen."""

    def __post_init__(self) -> None:
        check_whole("groups", self.groups, least=1)
        check_whole("patches in a group", self.group, least=3)
        check_whole("seed", self.seed, least=0, most=2**63 - 1)
        check_whole("validate_every", self.validate_every, least=1)
        assert self.recipe  # its numbers are checked when it is made

    @property
    def checkpoint(self) -> Path:
        """Where a training that did not end is kept."""
        return self.out.with_suffix(".checkpoint")

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        return Recipe(
            "adamw",
            self.rate,
            beta1=_BETA1,
            weight_decay=_WEIGHT_DECAY,
            schedule="one_cycle",
            batch=self.groups * self.group,
            steps=self.steps,
        )


class Patches(NamedTuple):
    """What a network is fitted to.

    Attributes
    ----------
    bank : SliceBank
        The pixels.
    depth : (stacks,) float64
        True inverse depth in dioptres of every stack of the bank.
    trained, held : int64 arrays
        Stacks that it learns from, and those by which it is judged.
    dp_axis : {"rows", "columns"}
        Along which the views are shifted.
    """

    bank: SliceBank
    depth: FloatArray
    trained: IntArray
    held: IntArray
    dp_axis: Axis

    @classmethod
    def of(cls, stacks: StackSet) -> "Patches":
        """Return the labelled patches of a set, every tenth of them held out."""
        if stacks.geometry.views != 2:
            raise AfsimError(f"{stacks!r} cannot be fitted: depth is told by two views")
        known = np.flatnonzero(stacks.labelled)
        if stacks.diopters is None or known.size < 2:
            raise AfsimError(f"{stacks!r} cannot be fitted: it has no known distances, or fewer than two labels")
        depth = np.full(len(stacks), np.nan)
        depth[known] = diopters_of_index(stacks.truth[known], stacks.diopters)
        out = np.arange(known.size) % _HELD_OUT == 0
        axis: Axis = "rows" if stacks[0].metadata.get("dp_axis") == "rows" else "columns"
        return cls(SliceBank(stacks, torch.device("cpu")), depth, known[~out], known[out], axis)

    def observe(self, stack: IntArray, index: IntArray) -> Observations:
        """Return slices ``index`` (M,) of stacks (M,)."""
        return Lanes(stack, index[:, None]).observe(self.bank)

    def upright(self, seen: Observations) -> torch.Tensor:
        """Return the images, turned so that views are shifted along the columns."""
        return seen.images.mT if self.dp_axis == "rows" else seen.images

    def values(self, network: DepthNetwork, stacks: IntArray, advance: Callable[[int], None]) -> FloatArray:
        """Return what a network in evaluation mode says of every slice, (len(stacks), n)."""
        n = self.bank.stacks.n
        stack, index = np.repeat(stacks, n), np.tile(np.arange(n), len(stacks))
        said = []
        with torch.inference_mode():
            for begin in range(0, len(stack), _SLICES_AT_ONCE):
                some = slice(begin, begin + _SLICES_AT_ONCE)
                said.append(network(self.upright(self.observe(stack[some], index[some]))))
                advance(len(said[-1]))
        return torch.cat(said).double().numpy().reshape(len(stacks), n)


def fit(
    patches: Patches,
    config: FitLearnedDepthConfig,
    network: DepthNetwork,
    *,
    advance: Callable[[int, str], None] = lambda step, words: None,
    log: Callable[[Sequence[dict[str, float]]], None] = lambda rows: None,
) -> list[dict[str, float]]:
    """Train a network in place, and return its log; it ends in evaluation mode.

    Raises
    ------
    AfsimError
        Where a group is larger than what there is to learn from, or the loss is no finite number any more.
    StoreError
        Where the checkpoint is damaged, or of another training.
    """
    if config.group > len(patches.trained):
        raise AfsimError(f"groups of {config.group} patches, but there are {len(patches.trained)} to learn from")
    recipe, losses, words = config.recipe, list[float](), "training"
    optimiser, reached = recipe.make_optimiser(network), Reached(0, [], -1)
    settings = {
        "data": patches.bank.stacks.digest,
        "channels": list(network.config.channels),
        "recipe": asdict(recipe),
        **{name: getattr(config, name) for name in ("groups", "group", "seed", "validate_every")},
    }
    if config.resume and config.checkpoint.exists():
        reached, _ = read_checkpoint(config.checkpoint, settings, network, optimiser)
    rows = reached.rows
    network.train()
    for step in range(reached.step, recipe.steps):
        for each in optimiser.param_groups:
            each["lr"] = recipe.rate_at(step)
        images, depth = _batch(patches, config, step)
        loss = affine_invariant_loss(network(images).reshape(depth.shape), depth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise AfsimError(f"the loss is no finite number any more at step {step + 1}: lower the rate")
        if (step + 1) % config.validate_every == 0 or step + 1 == recipe.steps:
            left = held_out_loss(network, patches)
            rows.append({"step": step + 1.0, "rate": recipe.rate_at(step), "loss": float(np.mean(losses)), **left})
            losses.clear()
            log(rows)
            write_checkpoint(config.checkpoint, settings, Reached(step + 1, rows, -1), network, {}, optimiser)
            words = ", ".join(f"{name} {rows[-1][name]:.3f}" for name in ("loss", *left))
        advance(step + 1, words)
    network.eval()
    return rows


def held_out_loss(network: DepthNetwork, patches: Patches) -> dict[str, float]:
    """Return the loss of the patches held out, all those at one index being a group; on every sixth index."""
    network.eval()
    losses = []
    with torch.inference_mode():
        depth = torch.from_numpy(patches.depth[patches.held])[None]
        for index in range(0, patches.bank.stacks.n, 6):
            seen = patches.observe(patches.held, np.full(len(patches.held), index))
            losses.append(affine_invariant_loss(network(patches.upright(seen)).double()[None], depth).item())
    network.train()
    return {"held-out loss": float(np.mean(losses))}


def _batch(patches: Patches, config: FitLearnedDepthConfig, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images (groups x group, 2, H, W) and true depths (groups, group) of a step."""
    rng = np.random.Generator(np.random.Philox(key=(config.seed, step)))
    index = rng.integers(patches.bank.stacks.n, size=config.groups).repeat(config.group)
    stack = np.concatenate([rng.choice(patches.trained, config.group, replace=False) for _ in range(config.groups)])
    generator = torch.Generator().manual_seed(seed_of_step(config.seed, step, 0))
    seen = augmented(patches.observe(stack, index), AUGMENTATIONS["usual"], generator, patches.dp_axis)
    depth = patches.depth[stack].reshape(config.groups, config.group)
    return patches.upright(seen), torch.from_numpy(depth.astype(np.float32))


def run(
    config: FitLearnedDepthConfig, *, stacks: StackSet | None = None, network: DepthConfig | None = None
) -> DepthModel:
    """Return the model, trained and calibrated; log and checkpoint are left beside ``config.out``.

    Parameters
    ----------
    config : FitLearnedDepthConfig
        How.
    stacks : StackSet, optional
        Replaces ``config.stacks``.
    network : DepthConfig, optional
        Replaces the network's usual size.
    """
    stacks = stacks if stacks is not None else StackSet.open(config.stacks)
    patches = Patches.of(stacks)
    made = make_depth_network(network or DepthConfig(), config.seed)
    few = patches.trained[:: max(1, len(patches.trained) // _CALIBRATED)]
    with progress(shown=not config.quiet, transient=True) as bar, TrainLog(config.out.with_suffix(".csv")) as log:
        task = bar.add_task("training", total=config.steps)
        fit(
            patches,
            config,
            made,
            advance=lambda step, words: bar.update(task, completed=step, description=words),
            log=log.write,
        )
        after = bar.add_task("calibration", total=(len(few) + len(patches.held)) * stacks.n)
        said, held = (
            patches.values(made, some, lambda done: bar.advance(after, done)) for some in (few, patches.held)
        )
    assert stacks.diopters is not None
    calibration = calibrate_depth(said, patches.depth[few], stacks.diopters, held, patches.depth[patches.held])
    source = Provenance(
        config.stacks.resolve().name,
        stacks.digest,
        len(patches.trained),
        said.size,
        command_line("fit learned_depth", replace(config, resume=False)),
    )
    return DepthModel(made, calibration, source)


def main(config: FitLearnedDepthConfig) -> int:
    """Train, calibrate, write the file, and say how far it can be trusted."""
    if config.out.suffix != ".safetensors" or config.out.is_dir():
        raise StoreError(f"{config.out}: expected the name of a file that ends in .safetensors")
    if config.checkpoint.exists() and not config.resume:
        raise StoreError(f"{config.checkpoint} is of a fit that did not end; go on with --resume, or remove it")
    with staged_files(config.out.parent):
        pass  # raises at once where nothing could be written in the end
    model = run(config)
    save_depth(model, config.out)
    config.checkpoint.unlink(missing_ok=True)
    if not config.quiet:
        spread = model.calibration.spread
        print(f"{config.out}: off by {spread.mean():.2f} dioptres on average, {spread.min():.2f} at the best slice")
    return 0
