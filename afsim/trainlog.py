"""The log of a training: a CSV file that is whole after every validation, and TensorBoard's where it is wanted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from afsim.errors import AfsimError
from afsim.staging import staged_files
from afsim.tables import write_table


class TrainLog:
    """Writes the rows of a training, a row a validation.

    Parameters
    ----------
    table : Path
        The CSV file; written anew each time, so that a training that goes on leaves no row out and none twice.
    tensorboard : Path, optional
        Folder of TensorBoard's files.

    Raises
    ------
    AfsimError
        Where TensorBoard is wanted and not installed.
    """

    def __init__(self, table: Path, tensorboard: Path | None = None) -> None:
        self._table = table
        self._writer = None if tensorboard is None else _writer(tensorboard)

    def write(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Store all rows so far; the last is the new one."""
        with staged_files(self._table.parent) as folder:
            write_table([dict(row) for row in rows], folder / self._table.name)
        if self._writer is not None:
            for name, value in rows[-1].items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(rows[-1]["step"]))
            self._writer.flush()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise AfsimError(
            "TensorBoard is not installed; expected it for --tensorboard: pip install 'afsim[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder))
