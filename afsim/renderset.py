"""Render a set into a folder: on all cores, with a bar; interrupted, the same call goes on where it stopped.

Finished stacks wait in a folder ``NAME.partial`` beside the target (:mod:`afsim.partial`), which takes the target's
name when all are there.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.console import Console

from afsim.checks import check_whole
from afsim.errors import StoreError
from afsim.partial import (
    DESCRIPTION,
    JOURNAL,
    claimed,
    finished_rows,
    full_disk_told,
    journal_line,
    journal_lines,
    partial_folder,
)
from afsim.progress import check_room, with_bar
from afsim.setconfig import SetConfig, make_set, set_metadata
from afsim.sets import render_in_order
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter, check_replaceable, index_rows
from afsim.staging import take_name


@dataclass(frozen=True)
class RenderConfig:
    """Render a set of stacks: the demo, a part of the benchmark, or scenes of one mixture."""

    name: tyro.conf.Positional[str]
    """demo, bench-train, bench-val, bench-test, or a mixture: v6, planes, leaves, thin, low_texture, text, night,
    dim, dark, periphery."""
    out: tyro.conf.Positional[Path]
    """Folder to make. Interrupted, the same command goes on where it stopped."""
    count: int | None = None
    """Number of stacks (3.2 MB each); the set's own by default."""
    seed: int | None = None
    """Of all draws, 0 or more; the set's own by default."""
    size: int = 128
    """Height and width of a patch in pixels, even."""
    margin: int = 0
    """Pixels rendered beyond each border, for cameras that shift or scale what they show."""
    breathing: float | None = None
    """Gain on the thin lens's focal breathing: 0 for none; the mixture's (1.3) by default."""
    noise: bool = True
    """Sensor noise."""
    flicker: bool = True
    """Flicker of the frames' gain."""
    mismatch: bool = True
    """Difference of the views in shading, gain and offset."""
    shake: bool = True
    """Sideways jitter and drift of the slices."""
    label_noise: bool | None = None
    """Error of the labels; the set's own choice by default."""
    replace: bool = False
    """Replace a set that is there already."""
    workers: int | None = None
    """Stacks rendered at once; one a core by default. The result does not depend on it."""

    def configure(self) -> SetConfig:
        """Return the set that is asked for.

        Raises
        ------
        AfsimError
            For a name or a value that there is not.
        """
        config = make_set(self.name)
        mixture = config.mixture
        if self.breathing is not None:
            mixture = replace(mixture, breathing=self.breathing)
        return replace(
            config,
            mixture=mixture,
            seed=config.seed if self.seed is None else self.seed,
            count=config.count if self.count is None else self.count,
            size=self.size,
            margin=self.margin,
            noise=self.noise,
            flicker=self.flicker,
            mismatch=self.mismatch,
            shake=self.shake,
            label_noise=config.label_noise if self.label_noise is None else self.label_noise,
        )


def main(config: RenderConfig) -> int:
    """Render a set, show a bar, and print its folder and digest; 130 where it was interrupted."""
    try:
        stacks = render_set(config.configure(), config.out, may_replace=config.replace, workers=config.workers)
    except KeyboardInterrupt:
        partial = partial_folder(config.out)
        kept = len(journal_lines(partial / JOURNAL))
        message = f"{kept} finished stacks are kept in {partial}: the same command goes on from there"
        message = f"interrupted; {message if kept else 'no stack was finished, nothing is left behind'}"
        Console(stderr=True).print(message, markup=False, soft_wrap=True)
        return 130
    print(f"{config.out}: {len(stacks)} stacks, digest {stacks.digest}")
    return 0


def render_set(
    config: SetConfig | str,
    path: str | Path,
    *,
    count: int | None = None,
    may_replace: bool = False,
    progress: bool = True,
    workers: int | None = None,
) -> StackSet:
    """Render a set into the folder ``path`` and open it.

    Parameters
    ----------
    config : SetConfig or str
        What to render, or the name of a set.
    path : str or Path
        The folder to make.
    count : int, optional
        Number of stacks, instead of the configuration's.
    may_replace : bool
        Whether a set at ``path`` is replaced, once the new one is complete.
    progress : bool
        Whether to show a bar on the error stream.
    workers : int, optional
        Threads; one a core by default.

    Returns
    -------
    StackSet
        The same bytes whatever the number of workers and however often it was interrupted.

    Raises
    ------
    StoreError
        Where ``path`` exists and may not be replaced, the disk is full, or what lies in ``NAME.partial`` belongs to
        another set or is being rendered by another process. Finished stacks are kept.
    AfsimError
        For ``workers`` below 1.
    """
    if workers is not None:
        check_whole("workers", workers, least=1)
    config = make_set(config) if isinstance(config, str) else config
    config = config if count is None else replace(config, count=count)
    target = Path(path).resolve()
    _check_target(target, may_replace)
    partial = partial_folder(target)
    with full_disk_told(partial), claimed(partial, config):
        kept = finished_rows(partial, config)
        geometry = config.geometry
        values = geometry.n * geometry.views * geometry.height * geometry.width
        check_room(partial, 2 * (config.count - len(kept)) * values)
        with (
            StackWriter(partial, geometry, set_metadata(config)) as writer,
            (partial / JOURNAL).open("a") as journal,
            closing(render_in_order(config, len(kept), workers=workers)) as stacks,
        ):
            writer.keep(kept)
            for stack in with_bar(stacks, f"rendering {config.name}", config.count, done=len(kept), shown=progress):
                writer.extend(index_rows([stack]))[0] = stack.images
                journal.write(journal_line(stack) + "\n")
                journal.flush()
        _check_target(target, may_replace)
        take_name(partial, target)
    for name in (DESCRIPTION, JOURNAL):
        (target / name).unlink()
    return StackSet.open(target)


def _check_target(target: Path, may_replace: bool) -> None:
    if target.exists() and not (may_replace and target.is_dir()):
        raise StoreError(f"{target} exists already; choose another place or allow it to be replaced")
    check_replaceable(target)
