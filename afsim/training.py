"""Training of a network on what lanes have seen: the loop, with validation, early stopping and checkpoints.

What a step sees follows from the seed and the step's number alone, so that a training can stop and go on anywhere.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from afsim.augment import Augmentation
from afsim.checkpoint import Reached, read_checkpoint, write_checkpoint
from afsim.checks import check_whole
from afsim.crew import ALONE, Crew
from afsim.errors import AfsimError
from afsim.lesson import Lesson, seed_of_step
from afsim.metrics import index_error, labels, paper_columns
from afsim.networkinput import Observations
from afsim.networks import FocusNetwork
from afsim.ordinal import cross_entropy, predicted_index
from afsim.recipe import Recipe
from afsim.slicebank import SliceBank
from afsim.slicepaths import Lanes, logits_of
from afsim.temperature import TEMPERATURE, fit_temperature

# By this row of the log the best weights are chosen.
SCORE: Final = "exact MAE"
# A loss that is no number is noticed after so many steps: to look at it, the device must have caught up.
_LOOK_EVERY: Final = 50
Validate = Callable[[FocusNetwork], Mapping[str, float]]


@dataclass(frozen=True)
class Course:
    """How often a training stops to look where it is, and where it keeps what it has reached.

    Attributes
    ----------
    every : int
        Steps between validations, each with a checkpoint.
    patience : int
        Validations without a better one after which it ends; 0 for never.
    checkpoint : Path or None
        The file; None keeps none.
    resume : bool
        Whether to go on from the file, where there is one.
    repeatable : bool
        Whether equal seeds give equal bits on a graphics processor too, which is slower; on a processor they do.
    """

    every: int
    patience: int = 0
    checkpoint: Path | None = None
    resume: bool = False
    repeatable: bool = False

    def __post_init__(self) -> None:
        check_whole("steps between validations", self.every, least=1)
        check_whole("patience", self.patience, least=0)


class Trained(NamedTuple):
    """The log of a training, a row a validation, and which row is the best: the network has its weights."""

    rows: list[dict[str, float]]
    best: int


def train(
    network: FocusNetwork,
    lesson: Lesson,
    recipe: Recipe,
    augmentation: Augmentation,
    seed: int,
    course: Course,
    validate: Validate,
    *,
    settings: Mapping[str, object] | None = None,
    advance: Callable[[int, str], None] = lambda step, words: None,
    log: Callable[[Sequence[Mapping[str, float]]], None] = lambda rows: None,
    crew: Crew = ALONE,
) -> Trained:
    """Train a network in place; it ends in evaluation mode with the weights of its best validation.

    Parameters
    ----------
    network : FocusNetwork
        On the lesson's device.
    lesson : Lesson
        What it sees, and what it is to say.
    recipe, augmentation, seed
        How.
    course : Course
        Validations and checkpoints.
    validate : callable
        Of the network in evaluation mode; the entry ``exact MAE`` is to become small.
    settings : mapping, optional
        Plain values that say what is trained on what and how: a checkpoint of other ones is not continued.
    advance : callable
        Told the number of steps done, and how it goes in words.
    log : callable
        Given all rows so far after each validation.
    crew : Crew
        Other processes that train the same network; only its leader validates, logs and keeps checkpoints.

    Raises
    ------
    AfsimError
        Where the loss is no finite number any more, the lesson has no truth, or a batch is too small to be shared.
    StoreError
        Where the checkpoint is damaged, or of another training.
    """
    if recipe.batch < 2 * crew.size:
        raise AfsimError(
            f"a batch of {recipe.batch} for {crew.size} processes; expected two lanes or more for each"
        )
    device = lesson.bank.device
    prepare(network, device, repeatable=course.repeatable, even=not lesson.lanes.repeat)
    optimiser, table = recipe.make_optimiser(network), lesson.soft_labels(recipe)
    reached, best = Reached(0, [], -1), dict[str, Tensor]()
    said = dict(settings or {})
    if course.resume and course.checkpoint is not None and course.checkpoint.exists():
        reached, best = read_checkpoint(course.checkpoint, said, network, optimiser)
    network.train()
    model, losses, begun = crew.together(network), torch.zeros((), device=device), time.perf_counter()
    advance(reached.step, _words(reached))
    for step in range(reached.step, recipe.steps):
        if course.patience and len(reached.rows) - 1 - reached.best >= course.patience:
            break
        if lesson.renew(step):
            table = lesson.soft_labels(recipe)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        torch.manual_seed(seed_of_step(seed, step, crew.rank))  # of dropout, which takes no generator
        seen, stacks = lesson.batch(recipe, augmentation, seed, step, crew)
        losses += _descend(model, optimiser, seen, table[stacks])
        done = step + 1
        validates = done % course.every == 0 or done == recipe.steps
        if validates or done % _LOOK_EVERY == 0:
            _check_loss(losses, done)
            advance(done, _words(reached))
        if not validates:
            continue
        since = done - reached.step
        row = {"step": float(done), "rate": recipe.rate_at(step), "loss": float(losses) / since}
        images = since * recipe.batch * lesson.lanes.path.shape[1]
        row["images/s"] = images / (time.perf_counter() - begun)
        row |= _validated(network, validate, crew, device)
        reached, better = _with_row(reached, row)
        if better:
            best = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        if crew.leads:
            log(reached.rows)
            if course.checkpoint is not None:
                write_checkpoint(course.checkpoint, said, reached, network, best, optimiser)
        advance(done, _words(reached))
        losses.zero_()
        begun = time.perf_counter()
    network.load_state_dict(best)
    network.eval()
    return Trained(reached.rows, reached.best)


def prepare(network: FocusNetwork, device: torch.device, *, repeatable: bool, even: bool) -> None:
    """Make a graphics processor fast for a network, or repeatable; on a processor there is nothing to do.

    Parameters
    ----------
    network : FocusNetwork
        Its weights are laid out anew, channels last.
    device : device
        Where it is.
    repeatable : bool
        See :class:`Course`.
    even : bool
        Whether all batches have equally many images: only then is it worth while to try which kernels are fastest,
        which is done anew for every size.
    """
    if device.type != "cuda":
        return
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = even and not repeatable
    torch.backends.cudnn.deterministic = repeatable
    if repeatable:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def _descend(model: nn.Module, optimiser: torch.optim.Optimizer, seen: Observations, wanted: Tensor) -> Tensor:
    """Take a gradient step towards the labels ``wanted`` (N, n), and return the loss before it."""
    device = wanted.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        logits = model(seen)
    loss = cross_entropy(logits.float(), wanted).mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.detach()


def _validated(network: FocusNetwork, validate: Validate, crew: Crew, device: torch.device) -> dict[str, float]:
    """Return the leader's validation; to the others the score is told, by which all keep the same weights."""
    network.eval()
    found = {name: float(value) for name, value in validate(network).items()} if crew.leads else {SCORE: 0.0}
    network.train()
    return found | {SCORE: crew.of_leader(found[SCORE], device)}


def _with_row(reached: Reached, row: dict[str, float]) -> tuple[Reached, bool]:
    """Return how far a training is with one row more, and whether that is the best."""
    better = reached.best < 0 or row[SCORE] < reached.rows[reached.best][SCORE]
    rows = [*reached.rows, row]
    return Reached(int(row["step"]), rows, len(rows) - 1 if better else reached.best), better


def validation(network: FocusNetwork, bank: SliceBank, lanes: Lanes) -> dict[str, float]:
    """Return how far a network's predictions for lanes are off, from the exact index and from the labels.

    Also the temperature under which its probabilities are the most likely ones.
    """
    logits, truth = logits_of(network, bank, lanes), bank.stacks.truth[lanes.stack]
    predicted = predicted_index(logits).numpy().astype(np.float64)
    exact = np.abs(predicted - truth)
    found = {SCORE: float(exact.mean()), "exact RMSE": float(np.sqrt(np.square(exact).mean()))}
    found["exact <= 1"] = float((exact <= 1.0).mean())
    columns = paper_columns(index_error(predicted, labels(bank.stacks)[lanes.stack]))
    found |= {"MAE": columns["mae"], "RMSE": columns["rmse"]}
    return found | {TEMPERATURE: fit_temperature(logits.numpy(), truth)}


def _check_loss(loss: Tensor, step: int) -> None:
    if not bool(torch.isfinite(loss)):
        raise AfsimError(
            f"the loss is no finite number any more, within the {_LOOK_EVERY} steps up to {step}: lower the rate, "
            "or look for damaged stacks with 'afsim data info --verify'"
        )


def _words(reached: Reached) -> str:
    if not reached.rows:
        return "training"
    last, best = reached.rows[-1], reached.rows[reached.best]
    return f"loss {last['loss']:.3f}, {SCORE} {last[SCORE]:.2f}, best {best[SCORE]:.2f} at {best['step']:.0f}"
