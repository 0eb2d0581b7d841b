"""Learning curves: how agents of several seeds do on the validation set as they learn, with their intervals."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy import stats

from afsim.errors import AfsimError, StoreError
from afsim.options import command_line
from afsim.plots import COLOURS, STYLE, save
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table

FloatArray = npt.NDArray[np.float64]

# What is drawn of a log, and what it is in words.
_DRAWN: Final = {
    "success": "ends within one slice",
    "exact MAE": "mean absolute exact error (slices)",
    "steps": "mean steps",
}


@dataclass(frozen=True)
class LearningConfig:
    """Whose learning is drawn."""

    logs: tuple[Path, ...] = tuple(Path(f"results/training/agent-{seed}.csv") for seed in range(3))
    """Logs of ``afsim train rl``, trained alike but for the seed."""
    out: Path = Path("out/learning")
    """Folder for rows.csv, table.md and the picture."""
    quiet: bool = False
    """Nothing on the screen."""


def run(config: LearningConfig) -> list[dict[str, object]]:
    """Return, for each validation, the mean over seeds of what is drawn, and its 95 % interval (Student's t).

    Raises
    ------
    AfsimError
        For fewer than two logs, or logs that were not validated at the same steps.
    StoreError
        For a file that is no log.
    """
    if len(config.logs) < 2:
        raise AfsimError(f"an interval over seeds needs at least two logs, got {len(config.logs)}")
    logs = [_read(path) for path in config.logs]
    for path, log in zip(config.logs, logs, strict=True):
        if not np.array_equal(log["timesteps"], logs[0]["timesteps"]):
            raise AfsimError(f"{path} was validated at other steps than {config.logs[0]}")
    rows: list[dict[str, object]] = []
    for place, timesteps in enumerate(logs[0]["timesteps"]):
        row: dict[str, object] = {"timesteps": timesteps}
        for name in _DRAWN:
            values = np.array([log[name][place] for log in logs])
            half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
            mean = float(values.mean())
            row |= {name: mean, f"{name}_lo": mean - float(half), f"{name}_hi": mean + float(half)}
        rows.append(row)
    return rows


def _read(path: Path) -> dict[str, FloatArray]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([float(row[name]) for row in rows]) for name in ("timesteps", *_DRAWN)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as a log of 'afsim train rl': {error}") from error


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return the rows as a Markdown table."""
    lines = []
    for row in rows:
        cells = [f"{row[name]:.3f} ({row[f'{name}_lo']:.3f} ... {row[f'{name}_hi']:.3f})" for name in _DRAWN]
        lines.append([f"{row['timesteps']:,.0f}", *cells])
    return markdown_table(("steps learned from", *_DRAWN.values()), lines)


def draw(rows: Sequence[dict[str, object]]) -> Figure:
    """Draw the means and their intervals against the steps that were learned from."""
    columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(_DRAWN), 3.0), layout="constrained")
        for axes, (name, label) in zip(figure.subplots(1, len(_DRAWN)), _DRAWN.items(), strict=True):
            millions = columns["timesteps"] / 1e6
            axes.fill_between(millions, columns[f"{name}_lo"], columns[f"{name}_hi"], color=COLOURS[0], alpha=0.25)
            axes.plot(millions, columns[name], color=COLOURS[0])
            axes.set(xlabel="environment steps (millions)", ylabel=label)
    return figure


def main(config: LearningConfig) -> int:
    """Read the logs, and write rows.csv, table.md and the picture."""
    rows = run(config)
    text = table(rows)
    with staged_files(config.out) as folder:
        write_table(rows, folder / "rows.csv")
        parts = ["# Learning curves", f"`{command_line('study learning', config)}`", text]
        (folder / "table.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        save(draw(rows), folder, "learning")
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'}, rows.csv and the picture learning beside it")
    return 0
