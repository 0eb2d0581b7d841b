"""Small fitted models as JSON files: a format and a version, written aside, and refused by name where damaged."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afsim.errors import StoreError
from afsim.staging import staged_files


@dataclass(frozen=True)
class RecordFormat:
    """A kind of file.

    Attributes
    ----------
    name, version : str, int
        What the file says that it is, and the newest version that is read.
    what : str
        For messages: ``"calibration"``.
    made_by : str
        The command that makes one.
    """

    name: str
    version: int
    what: str
    made_by: str

    def write(self, path: str | Path, record: Mapping[str, object], *, indent: int | None = None) -> None:
        """Write plain JSON values, aside and then renamed; a file that is there is replaced.

        Raises
        ------
        StoreError
            Where ``path`` is a folder or cannot be written.
        """
        path = Path(path)
        if path.is_dir():
            raise StoreError(f"{path} is a folder; expected a file to write a {self.what} to")
        try:
            with staged_files(path.parent) as folder:
                (folder / path.name).write_text(self.text(record, indent=indent), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from error

    def text(self, record: Mapping[str, object], *, indent: int | None = None) -> str:
        """Return what a file of plain JSON values holds."""
        return json.dumps({"format": self.name, "version": self.version, **record}, indent=indent) + "\n"

    @contextmanager
    def reading(self, path: str | Path, content: bytes | None = None) -> Iterator[dict[str, Any]]:
        """Yield what a file holds; what the block then finds missing or wrong is told as damage to the file.

        With ``content``, that is what it holds, and ``path`` is only its name.

        Raises
        ------
        StoreError
            Where the file is missing, is none, is damaged, or a newer version wrote it.
        """
        record = self._read(Path(path), content)
        try:
            yield record
        except KeyError as error:
            raise StoreError(f"{path} is damaged: {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error

    def _read(self, path: Path, content: bytes | None) -> dict[str, Any]:
        try:
            record = json.loads((path.read_bytes() if content is None else content).decode("utf-8"))
        except FileNotFoundError:
            raise StoreError(f"{path}: there is no such file; '{self.made_by}' makes a {self.what}") from None
        except (UnicodeDecodeError, json.JSONDecodeError, OSError) as error:
            raise StoreError(f"{path} is damaged or no {self.what}: expected JSON ({error})") from error
        if not isinstance(record, Mapping) or record.get("format") != self.name:
            raise StoreError(f"{path} is no {self.what}: expected a JSON object of format {self.name!r}")
        version = record.get("version")
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= self.version:
            raise StoreError(f"{path} has version {version!r}; this afsim reads versions 1 to {self.version}")
        return dict(record)
