"""``afsim train``: train a network of the paper's problems, and store it with its log."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import torch
import tyro

from afsim.augment import AUGMENTATIONS
from afsim.checks import check_whole
from afsim.crew import Crew, crew
from afsim.dualpixel import Axis
from afsim.errors import AfsimError, StoreError
from afsim.freshbank import PREFIX, FreshBank, endless_set
from afsim.lesson import FreshLesson, Lesson
from afsim.metrics import labels
from afsim.modelfile import Model, ModelRecord, load, save
from afsim.modelkinds import ModelKind, model_kind
from afsim.networks import CompactConfig, CompactNetwork, Config, FocusNetwork, OneHotConfig, make_network
from afsim.options import command_line, from_text
from afsim.progress import progress
from afsim.recipe import Recipe, presets
from afsim.slicebank import SliceBank
from afsim.slicepaths import Lanes, follow, lanes_of
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.training import Course, train, validation
from afsim.trainlog import TrainLog

NETWORKS: Final[dict[str, Config]] = {"one-hot": OneHotConfig(), "compact": CompactConfig()}
# What goes with a recipe where it is not said.
_USUAL: Final = {"paper": ("one-hot", "none"), "small": ("compact", "usual")}


@dataclass(frozen=True)
class TrainConfig:
    """Train a network: the paper's recipe by default, which is work for a graphics processor."""

    model: tyro.conf.Positional[str]
    """What it sees: i1, d1 (one slice), i1-2step, d1-2step (and that which i1 or d1 chose), ..., i-star, d-star."""
    stacks: Path
    """Set of labelled stacks to train on; or endless:NAME, fresh stacks of a rendered set, e.g. bench-train."""
    validation: Path
    """Another set, by which the best weights are chosen: never the one that policies are then tested on."""
    out: Path
    """File of the network (safetensors); log and checkpoint lie beside it, as .csv and .checkpoint."""
    recipe: str = "paper"
    """paper or small (for two cores); --recipe.batch 64, --recipe.steps 9000, and so on."""
    network: str | None = None
    """one-hot or compact (which small means by itself); --network compact --network.width 0.35."""
    augmentation: str | None = None
    """none or usual (which small means by itself); --augmentation usual --augmentation.shot 0."""
    previous: tuple[Path, ...] = ()
    """For more than one step: the files of the networks that choose the slices before, first to last."""
    initial: Path | None = None
    """Network of the same family and configuration to start from; by default weights are drawn at random."""
    keep_trunk: bool = False
    """Keep what the initial network, a compact one, takes from each slice: a third of the time, or less. Batches of
    few whole stacks are too much alike for its normalisations to be learned from them."""
    seed: int = 0
    """Of weights, batches, augmentation and noise."""
    validate_every: int = 500
    """Steps from one validation, and checkpoint, to the next."""
    validation_stacks: int = 40
    """Stacks of the validation set that are looked at, evenly spread; 0 for all."""
    patience: int = 0
    """Validations without a better one after which training ends; 0 for never."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where; a graphics processor where there is one, in mixed precision."""
    repeatable: bool = False
    """Equal seeds give equal bits on a graphics processor too, which is slower; on a processor they always do."""
    pool: int = 256
    """Of endless stacks: how many are in memory (3.2 MB each)."""
    renew_every: int = 20
    """Of endless stacks: steps after which the next one comes, in place of the oldest."""
    tensorboard: Path | None = None
    """Folder for TensorBoard's log, beside the CSV file."""
    resume: bool = False
    """Go on from the checkpoint, where there is one."""
    quiet: bool = False
    """No progress bar, and nothing on the screen."""


def main(config: TrainConfig) -> int:
    """Train, store the network and its log, and print how good it is; under torchrun, on all its devices."""
    _check_files(config)
    with crew(_device(config.device)) as (members, device):
        model = run(config, device, members)
    if not members.leads:
        return 0
    save(model.network, config.out, model.record)
    _checkpoint(config).unlink(missing_ok=True)
    if not config.quiet:
        words = ", ".join(f"{name} {value:.3g}" for name, value in model.record.metrics.items())
        print(f"{config.out}: {words} on {config.validation.name}")
    return 0


def run(config: TrainConfig, device: torch.device, members: Crew) -> Model:
    """Return the trained network with its record; log and checkpoint are left beside ``config.out``."""
    kind = model_kind(config.model)
    recipe = from_text(config.recipe, presets(whole_stacks=kind.slices is None), "recipe")
    usual = _USUAL[config.recipe.partition(",")[0].strip()]
    network_config = from_text(config.network or usual[0], NETWORKS, "network")
    augmentation = from_text(config.augmentation or usual[1], AUGMENTATIONS, "augmentation")
    held_out = _open(config.validation, kind)
    bank = _bank(config, kind, device)
    stacks = bank.stacks
    _check_fit(stacks, held_out, config)
    network_config = replace(network_config, n=stacks.n, views=kind.views)
    before = _previous(config, kind, network_config, device)
    settings: dict[str, object] = {
        "model": kind.name,
        "data": _digest(bank),
        "validation": held_out.digest,
        "network": asdict(network_config),
        "recipe": asdict(recipe),
        "augmentation": asdict(augmentation),
        "previous": [_hash(path) for path in config.previous],
        "initial": None if config.initial is None else _hash(config.initial),
        "keep_trunk": config.keep_trunk,
        "seed": config.seed,
        "validate_every": config.validate_every,
        "validation_stacks": config.validation_stacks,
        "processes": members.size,
    }
    network = _first(config, network_config).to(device)
    with ExitStack() as opened:
        log = None
        if members.leads:
            log = opened.enter_context(TrainLog(config.out.with_suffix(".csv"), config.tensorboard))
        bar = opened.enter_context(progress(shown=members.leads and not config.quiet, transient=True))
        held = SliceBank(held_out, device)
        networks = [model.network for model in before]
        paths = lanes_of(kind, np.flatnonzero(stacks.labelled), stacks.n)
        chosen = bar.add_task("slices that previous networks choose", total=len(paths) * len(networks))
        paths = follow(networks, bank, paths, progress=lambda done: bar.advance(chosen, done))
        some = _spread(np.flatnonzero(held_out.labelled), config.validation_stacks)
        seen = follow(networks, held, lanes_of(kind, some, stacks.n))
        steps = bar.add_task("training", total=recipe.steps)
        trained = train(
            network,
            _lesson(bank, paths, recipe, networks, kind),
            recipe,
            augmentation,
            config.seed,
            Course(config.validate_every, config.patience, _checkpoint(config), config.resume, config.repeatable),
            lambda network: validation(network, held, seen),
            settings=settings,
            advance=lambda step, words: bar.update(steps, completed=step, description=words),
            log=log.write if log is not None else lambda rows: None,
            crew=members,
        )
    best = trained.rows[trained.best]
    metrics = {name: best[name] for name in best if name not in ("rate", "loss", "images/s")}
    command = command_line("train", replace(config, resume=False), positional=["model"])
    record = ModelRecord(_digest(bank), config.seed, metrics, {**settings, "command": command})
    return Model(network.cpu(), record)


def _bank(config: TrainConfig, kind: ModelKind, device: torch.device) -> SliceBank:
    """Return the pixels to train on: of a stored set, or of endless stacks."""
    name = str(config.stacks)
    if not name.startswith(PREFIX):
        return SliceBank(_open(config.stacks, kind), device)
    return FreshBank(endless_set(name), config.pool, config.renew_every, device)


def _digest(bank: SliceBank) -> str:
    return bank.digest() if isinstance(bank, FreshBank) else bank.stacks.digest


def _lesson(bank: SliceBank, lanes: Lanes, recipe: Recipe, networks: list[FocusNetwork], kind: ModelKind) -> Lesson:
    """Return what is learned; of endless stacks, what previous networks choose is chosen as they come."""
    truth, axis = _truth(bank.stacks, recipe), _axis(bank.stacks)
    if not isinstance(bank, FreshBank):
        return Lesson(bank, lanes, truth, axis)

    def choose(stacks: npt.NDArray[np.int64]) -> Lanes:
        return follow(networks, bank, lanes_of(kind, stacks, bank.stacks.n))

    return FreshLesson(bank, lanes, truth, axis, choose=choose, truth_of=lambda stacks: _truth(stacks, recipe))


def _first(config: TrainConfig, wanted: Config) -> FocusNetwork:
    """Return the network that training starts with."""
    if config.initial is None:
        if config.keep_trunk:
            raise AfsimError("keep_trunk keeps an initial network's trunk; expected --initial FILE")
        return make_network(wanted, config.seed)
    network = load(config.initial).network
    if network.config != wanted:
        raise AfsimError(f"{config.initial} is {network.config}; expected {wanted}, which is to be trained")
    if config.keep_trunk:
        if not isinstance(network, CompactNetwork):
            raise AfsimError(f"{config.initial} is no compact network: it has no trunk to keep")
        network.keep_trunk()
    return network


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _truth(stacks: StackSet, recipe: Recipe) -> npt.NDArray[np.float64]:
    """Return the index (N,) to learn of each stack; of those without a label or truth it means nothing."""
    return stacks.truth if recipe.truth == "exact" else labels(stacks).astype(np.float64)


def _axis(stacks: StackSet) -> Axis:
    """Return along which axis the views of a set are shifted."""
    return "rows" if stacks[0].metadata.get("dp_axis") == "rows" else "columns"


def _check_fit(stacks: StackSet, held_out: StackSet, config: TrainConfig) -> None:
    sizes = [(one.n, one.geometry.height, one.geometry.width) for one in (stacks, held_out)]
    if sizes[0] != sizes[1]:
        raise AfsimError(
            f"{config.validation} ({held_out.geometry}) does not fit {config.stacks} ({stacks.geometry})"
        )


def _open(path: Path, kind: ModelKind) -> StackSet:
    stacks = StackSet.open(path)
    if stacks.geometry.views < kind.views:
        raise AfsimError(f"{kind.name} needs dual-pixel stacks (2 views), but {path} has {stacks.geometry.views}")
    if not stacks.labelled.any():
        raise AfsimError(f"{path} has no labelled stack")
    return stacks


def _previous(config: TrainConfig, kind: ModelKind, network: Config, device: torch.device) -> list[Model]:
    """Return the networks that choose the slices before, on the device."""
    if len(config.previous) != len(kind.previous):
        wanted = ", ".join(kind.previous) or "none"
        raise AfsimError(
            f"{kind.name} needs the files of {len(kind.previous)} previous networks ({wanted}), "
            f"got {len(config.previous)}"
        )
    models = []
    for name, path in zip(kind.previous, config.previous, strict=True):
        model = load(path)
        found = model.record.training.get("model")
        if found != name or (model.network.config.n, model.network.config.views) != (network.n, network.views):
            raise AfsimError(
                f"{path} is {found} for {model.network.config.n} slices of {model.network.config.views} view(s); "
                f"expected {name} for {network.n} of {network.views}"
            )
        model.network.to(device)
        models.append(model)
    return models


def _spread(stacks: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return ``count`` of the stacks, evenly spread; all for 0."""
    if count == 0 or count >= len(stacks):
        return stacks
    return stacks[np.linspace(0, len(stacks) - 1, count).round().astype(np.int64)]


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise AfsimError("no graphics processor that torch can use; expected one for device 'cuda'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _checkpoint(config: TrainConfig) -> Path:
    return config.out.with_suffix(".checkpoint")


def _check_files(config: TrainConfig) -> None:
    """Raise at once where the results could not be written, or would overwrite another training's checkpoint."""
    check_whole("seed", config.seed, least=0, most=2**63 - 1)
    check_whole("validation_stacks", config.validation_stacks, least=0)
    if config.out.suffix != ".safetensors" or config.out.is_dir():
        raise StoreError(f"{config.out}: expected the name of a file that ends in .safetensors")
    if _checkpoint(config).exists() and not config.resume:
        raise StoreError(
            f"{_checkpoint(config)} is of a training that did not end; go on with --resume, or remove it"
        )
    with staged_files(config.out.parent):
        pass
