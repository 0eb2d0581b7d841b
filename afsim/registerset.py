"""Register a set into a folder: on all cores, with a bar; interrupted, nothing half-written is left behind."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import tyro

from afsim.errors import StoreError
from afsim.progress import check_room, with_bar
from afsim.registration import Method, Registration
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter, check_replaceable, index_rows
from afsim.staging import staged_folder


@dataclass(frozen=True)
class RegisterConfig:
    """Register the stacks of a set against focal breathing, into a new set."""

    method: tyro.conf.Positional[Method]
    """calibrated: zoom by the focus distances; search: zoom with the least squared difference, for each stack."""
    stacks: tyro.conf.Positional[Path]
    """The set to register. Patches away from the middle of the frame need a margin:
    afsim data render NAME SET --margin 48."""
    out: tyro.conf.Positional[Path]
    """Folder to make."""
    reference: int | None = None
    """The slice whose framing all get; by default the nearest where every patch contains its principal point, as
    whole frames do, and the middle one otherwise."""
    gain: float | None = None
    """Breathing of the lens over a thin lens's; by default what the set tells, else 1."""
    margin: int | None = None
    """Pixels cut off at each border; by default those that the set was rendered with."""
    replace: bool = False
    """Replace a set that is there already."""
    workers: int | None = None
    """Stacks registered at once; one a core by default. The result does not depend on it."""


def main(config: RegisterConfig) -> int:
    """Register a set, show a bar, and print its folder, its digest, and how many stacks had no hold."""
    stacks = StackSet.open(config.stacks)
    registration = Registration(stacks, config.method, config.reference, config.gain, config.margin)
    registered = register_set(registration, config.out, may_replace=config.replace, workers=config.workers)
    print(f"{config.out}: {len(registered)} stacks, digest {registered.digest}")
    if config.method == "search":
        fallen_back = sum(has_fallen_back(stack) for stack in registered)
        print(f"{fallen_back} of them by the calibrated zoom: the search found no hold")
    return 0


def register_set(
    registration: Registration,
    path: str | Path,
    *,
    may_replace: bool = False,
    progress: bool = True,
    workers: int | None = None,
) -> StackSet:
    """Register a set into the folder ``path``, stack by stack, and open it.

    Parameters
    ----------
    registration : Registration
        What is registered, and how.
    path : str or Path
        The folder to make.
    may_replace : bool
        Whether a set at ``path`` is replaced, once the new one is complete.
    progress : bool
        Whether to show a bar on the error stream.
    workers : int, optional
        Threads; one a core by default.

    Returns
    -------
    StackSet
        The same content as :func:`afsim.registration.register` gives, whatever the number of workers.

    Raises
    ------
    StoreError
        Where ``path`` exists and may not be replaced, holds the set that is registered, or the disk is full.
    AfsimError
        For ``workers`` below 1.
    """
    target = Path(path).resolve()
    source = registration.stacks.path
    if source is not None and target in (source.resolve(), *source.resolve().parents):
        raise StoreError(f"{target} holds the set that is registered; choose another place")
    if may_replace:
        check_replaceable(target)
    geometry = registration.geometry
    with (
        staged_folder(target, may_replace=may_replace) as folder,
        closing(registration.in_order(workers=workers)) as stacks,
        StackWriter(folder, geometry, registration.metadata) as writer,
    ):
        values = geometry.n * geometry.views * geometry.height * geometry.width
        check_room(folder, 2 * len(registration.stacks) * values)
        what = f"registering ({registration.method})"
        for stack in with_bar(stacks, what, len(registration.stacks), shown=progress):
            writer.extend(index_rows([stack]))[0] = stack.images
    return StackSet.open(target)


def has_fallen_back(stack: FocalStack) -> bool:
    """Tell whether a search found no hold in a stack, so that it was registered by the calibrated zoom."""
    record = stack.metadata.get("registration")
    return isinstance(record, dict) and "fallback" in record
