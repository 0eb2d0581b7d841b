"""Agents trained with Stable-Baselines3: their zip files, with a record of ours inside.

Such a file holds pickled Python, which can run any code when it is read: load only files that you trust.
"""

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from afsim.errors import AfsimError, StoreError, unknown
from afsim.staging import staged_files

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

ALGORITHMS: Final = {
    "ppo": ("stable_baselines3", "PPO"),
    "dqn": ("stable_baselines3", "DQN"),
    "recurrent_ppo": ("sb3_contrib", "RecurrentPPO"),
    "qrdqn": ("sb3_contrib", "QRDQN"),
}
"""Where each algorithm comes from; sb3-contrib is the extra ``rl``."""

# What an algorithm keeps of the environments it is learning in: they begin anew where it goes on.
_PASSING: Final = (
    "_last_obs",
    "_last_original_obs",
    "_last_episode_starts",
    "_last_lstm_states",
    "ep_info_buffer",
    "ep_success_buffer",
)
_ENTRY: Final = "afsim.json"
_FORMAT: Final = "afsim-agent"
_VERSION: Final = 1


@dataclass(frozen=True)
class AgentRecord:
    """What an agent is and where it comes from.

    Attributes
    ----------
    algorithm : str
        A key of ``ALGORITHMS``.
    sight : str
        What it takes from a slice (:mod:`afsim.sight`).
    n, views : int
        Of the stacks.
    data : str
        Digest of the set it was trained on.
    seed : int
        Of the training.
    training : dict
        Its configuration, the command among it.
    metrics : dict
        Of the validation set.
    """

    algorithm: str
    sight: str
    n: int
    views: int
    data: str
    seed: int
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


class Agent(NamedTuple):
    """A trained agent and its record."""

    model: "BaseAlgorithm"
    record: AgentRecord


def algorithm_class(name: str) -> Any:
    """Return the class of an algorithm.

    Raises
    ------
    AfsimError
        For an unknown name, or where sb3-contrib is not installed.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    import importlib

    package, kind = ALGORITHMS[name]
    try:
        return getattr(importlib.import_module(package), kind)
    except ModuleNotFoundError as error:
        raise AfsimError(f"{name} needs sb3-contrib, which is not installed: pip install 'afsim[rl]'") from error


def save_agent(agent: Agent, path: Path) -> None:
    """Store an agent as SB3 does, with the record inside; the file is written aside, then renamed.

    Raises
    ------
    AfsimError
        For a record that is not plain finite JSON, or a name that does not end in ``.zip``.
    StoreError
        Where the folder cannot be written into.
    """
    if path.suffix != ".zip":
        raise AfsimError(f"an agent's file must end in .zip, got {path}")
    try:
        text = json.dumps({"format": _FORMAT, "version": _VERSION, **asdict(agent.record)}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AfsimError(f"the record of {path} must be finite numbers and plain JSON values: {error}") from error
    try:
        with staged_files(path.parent) as folder:
            agent.model.save(folder / path.name, exclude=list(_PASSING))
            with zipfile.ZipFile(folder / path.name, "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(_ENTRY, text)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def finish(agent: Agent) -> Agent:
    """Return an agent without what its optimiser remembers, two thirds of its file: it will not be trained on."""
    for part in ("policy", "actor", "critic"):
        optimizer = getattr(getattr(agent.model, part, None), "optimizer", None)
        if optimizer is not None:
            optimizer.state.clear()
    return agent


def read_record(path: Path) -> AgentRecord:
    """Read the record alone; nothing is unpickled.

    Raises
    ------
    StoreError
        Where the file is missing, damaged, newer, or no agent of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            told = json.loads(archive.read(_ENTRY))
    except KeyError as error:
        raise StoreError(f"{path} has no {_ENTRY}: it was not written by 'afsim train rl'") from error
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise StoreError(f"{path} cannot be read as an agent: {error}") from error
    if not isinstance(told, dict) or told.pop("format", None) != _FORMAT:
        raise StoreError(f"{path} is no agent of ours: its {_ENTRY} names another format")
    if (version := told.pop("version", None)) != _VERSION:
        raise StoreError(f"{path} has version {version} of the format, expected {_VERSION}: made by a newer afsim?")
    known = {each.name for each in fields(AgentRecord)}
    if told.keys() != known:
        raise StoreError(f"{path} has the entries {sorted(told)} in its record, expected {sorted(known)}")
    if told["algorithm"] not in ALGORITHMS:
        raise StoreError(
            f"{path} is of the algorithm {told['algorithm']!r}, expected one of {', '.join(ALGORITHMS)}"
        )
    return AgentRecord(**told)


def load_agent(path: Path) -> Agent:
    """Read an agent. SB3 unpickles what is in its file, which can run any code: only files that you trust.

    Raises
    ------
    AfsimError
        Where sb3-contrib is needed and not installed.
    StoreError
        Where the file is missing, damaged, newer, or no agent of ours.
    """
    record = read_record(path)
    kind = algorithm_class(record.algorithm)
    try:
        model = kind.load(io.BytesIO(path.read_bytes()), device="cpu")
    except Exception as error:  # whatever unpickling damaged bytes raises
        raise StoreError(f"{path} cannot be read as an agent: {error}") from error
    model.policy.set_training_mode(False)
    return Agent(model, record)
