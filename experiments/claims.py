"""The paper's claims (section 7) as checks on our tables: each holds or fails, with the figures beside it.

What can be read from Tables 1 to 3 is read from their rows; how a single-slice network errs is measured.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError, StoreError
from afsim.experiments.claim_list import CLAIMS, Figures, Verdict
from afsim.experiments.compare import open_stacks
from afsim.experiments.table_rows import labelled
from afsim.options import command_line
from afsim.policies import make
from afsim.policies.learned import LearnedSingle
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]

_TABLES: Final = ("table1", "table2", "table3")
# Of how single-slice networks err: an error is gross beyond so many indices, and mirrored within so many of the
# index that lies as far on the other side of the slice. A distribution is split where a quarter lies on the wrong
# side of the slice (all ours; the paper shows one patch).
_GROSS: Final = 4.0
_NEAR: Final = 2.0
_SPLIT: Final = 0.25


@dataclass(frozen=True)
class ClaimsConfig:
    """What the claims are checked on."""

    tables: Path = Path("results")
    """Folder that holds table1, table2 and table3, made by 'afsim study table1' and so on."""
    stacks: Path | None = None
    """The stored set that they are of, on which the networks' errors are looked at; the demo set by default."""
    out: Path = Path("out/claims")
    """Folder for rows.csv and table.md."""
    most: int = 0
    """Stacks that are looked at, the first; 0 for all."""
    quiet: bool = False
    """Nothing on the screen."""


class Sides(NamedTuple):
    """On which side of the slice that it sees a network of one slice looks for the focus.

    Attributes
    ----------
    mirrored : float
        Share of the gross errors that are near the mirrored index; of those slices whose mirrored index is one.
    chance : float
        The share that guesses would have which are as far from the truth.
    gross_inside, gross_outside : float
        Share of gross errors where the mirrored index is one, and where it lies beyond the ends.
    split : float
        Share of slices of which a quarter of the distribution or more lies on the wrong side.
    """

    mirrored: float
    chance: float
    gross_inside: float
    gross_outside: float
    split: float


def run(config: ClaimsConfig, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Check every claim.

    Returns
    -------
    list of dict
        Of each: ``claim``, ``section``, ``holds`` (yes, no or unknown), ``ours``, ``paper``, and the ``check``.

    Raises
    ------
    StoreError
        Where a table's rows are missing.
    """
    check_whole("most", config.most, least=0)
    tables = {name: _rows(config.tables / name / "rows.csv") for name in _TABLES}
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    arena = Arena(Camera(stacks[: config.most] if config.most else stacks))
    figures = Figures(tables, dict(_sides(arena)))
    return [_row(claim.section, claim.says, claim.check, claim.of(figures)) for claim in CLAIMS]


def sides(shares: FloatArray, truth: FloatArray) -> Sides:
    """Return on which side a network errs, of its probabilities (N, n, n) of every slice; truth (N,)."""
    n = shares.shape[1]
    slices, focus = np.arange(n)[None, :], truth[:, None]
    said = shares.argmax(axis=2)
    mirror = 2.0 * slices - focus
    gross = np.abs(said - focus) > _GROSS
    away = np.abs(slices - focus) > (_GROSS + _NEAR) / 2.0
    inside = away & (mirror >= 0.0) & (mirror <= n - 1.0)
    outside = away & ~inside
    near = np.abs(said - mirror) <= _NEAR
    index = np.arange(n)[None, None, :]
    wrong = np.where((index - slices[..., None]) * (focus - slices)[..., None] < 0.0, shares, 0.0).sum(axis=2)
    # A guess as far from the truth as the mirrored index is hits it in one of two directions, where both exist.
    far = np.abs(index - focus[..., None]) > _GROSS
    hits = (np.abs(index - mirror[..., None]) <= _NEAR) & far
    chance = hits.sum(axis=2) / np.maximum(far.sum(axis=2), 1)
    return Sides(
        _mean(near, inside & gross),
        _mean(chance, inside & gross),
        _mean(gross, inside),
        _mean(gross, outside),
        _mean(wrong >= _SPLIT, inside),
    )


def _sides(arena: Arena) -> Iterator[tuple[str, Sides]]:
    spec, stacks = FocusTask(arena.camera, reward="none").spec, arena.camera.stacks
    for name in ("i1", "d1"):
        try:
            policy = make(f"learned-{name}", spec)
        except AfsimError:
            continue
        assert isinstance(policy, LearnedSingle)
        yield name, sides(np.asarray(arena.features(policy), dtype=np.float64), stacks.truth)


def _mean(values: npt.NDArray[np.generic], where: npt.NDArray[np.bool_]) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def _rows(path: Path) -> list[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: make it with 'afsim study {path.parent.name} --out {path.parent}'"
        ) from error


def _row(section: str, says: str, check: str, verdict: Verdict) -> dict[str, object]:
    words = {True: "yes", False: "no", None: "unknown"}
    return {
        "section": section,
        "claim": says,
        "holds": words[verdict.holds],
        "ours": verdict.ours,
        "paper": verdict.paper,
        "check": check,
    }


def main(config: ClaimsConfig) -> int:
    """Check the claims and write rows.csv and table.md."""
    with staged_files(config.out) as folder:
        rows = run(config)
        write_table(rows, folder / "rows.csv")
        held = sum(row["holds"] == "yes" for row in rows)
        names = ("section", "claim", "holds", "ours", "paper", "check")
        lines = [[str(row[name]) for name in names] for row in rows]
        parts = [
            "# The paper's claims on our tables",
            f"`{command_line('study claims', config)}`",
            f"{held} of {len(rows)} hold.",
            markdown_table(names, lines),
        ]
        (folder / "table.md").write_text("\n\n".join(parts), encoding="utf-8")
    if not config.quiet:
        print("\n\n".join(parts[2:]))
        print(f"Written: {config.out / 'table.md'} and rows.csv beside it")
    return 0
