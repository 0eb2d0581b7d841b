"""Several vector environments as one: lenses, light and budgets side by side, for agents that meet them all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from afsim.errors import AfsimError

AnyVectorEnv = VectorEnv[Any, Any, npt.NDArray[Any]]


class MixedVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """The lanes of several vector environments, one after the other, in one batch.

    Within a preset, every episode draws its lens anew; this adds presets, budgets or whole sets beside each other
    (domain randomisation).

    Parameters
    ----------
    parts : sequence of VectorEnv
        With equal spaces for one lane (:class:`afsim.envs.VectorFeatureVector` has the same for every budget) and
        equal autoreset modes.

    Raises
    ------
    AfsimError
        For none, or parts that differ in their spaces or autoreset modes.
    """

    def __init__(self, parts: Sequence[AnyVectorEnv]) -> None:
        if not parts:
            raise AfsimError("expected at least one vector environment to mix, got none")
        self.parts, first = tuple(parts), parts[0]
        for name in ("single_observation_space", "single_action_space"):
            spaces = [getattr(part, name) for part in parts]
            if odd := [place for place, space in enumerate(spaces) if space != spaces[0]]:
                raise AfsimError(f"environment {odd[0]} has the {name} {spaces[odd[0]]}, the first has {spaces[0]}")
        modes = [part.metadata["autoreset_mode"] for part in parts]
        if len(set(modes)) > 1:
            raise AfsimError(f"environments must have one autoreset mode, got {modes}")
        self.metadata = first.metadata
        self.single_observation_space = first.single_observation_space
        self.single_action_space = first.single_action_space
        self.num_envs = sum(part.num_envs for part in parts)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._edges = np.cumsum([0, *(part.num_envs for part in parts)]).tolist()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every lane, or in those of ``options["reset_mask"]``; lane i has seed + i."""
        returned = []
        for part, lanes in self._each():
            own: Any = seed + lanes.start if isinstance(seed, int | np.integer) else seed
            own = list(own[lanes]) if isinstance(own, Sequence) else own
            mine = {name: self._share(value, lanes) for name, value in (options or {}).items()}
            if "reset_mask" in mine and not np.any(mine["reset_mask"]):
                raise AfsimError("reset_mask must have a lane of every environment that is mixed")
            returned.append(part.reset(seed=own, options=mine))
        observations, infos = zip(*returned, strict=True)
        return _joined(observations), self._columns(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play one step in every lane."""
        returned = [part.step(np.asarray(actions)[lanes]) for part, lanes in self._each()]
        observations, rewards, terminated, truncated, infos = zip(*returned, strict=True)
        three = (np.concatenate(each) for each in (rewards, terminated, truncated))
        return _joined(observations), *three, self._columns(infos)

    def close_extras(self, **kwargs: Any) -> None:
        """Close all environments."""
        for part in self.parts:
            part.close()

    def _each(self) -> list[tuple[AnyVectorEnv, slice]]:
        edges = zip(self._edges[:-1], self._edges[1:], strict=True)
        return [(part, slice(begin, end)) for part, (begin, end) in zip(self.parts, edges, strict=True)]

    def _share(self, value: Any, lanes: slice) -> Any:
        """Return a part's share of what is one for all lanes, or one a lane."""
        whole = np.asarray(value)
        if whole.ndim == 0:
            return value
        if len(whole) != self.num_envs:
            raise AfsimError(f"expected one value or {self.num_envs}, one a lane; got {len(whole)}")
        return whole[lanes]

    def _columns(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the infos of all lanes; a part without an entry has none of it, as its mask says."""
        columns: dict[str, Any] = {}
        for name in dict.fromkeys(name for info in infos for name in info):
            like = next(info[name] for info in infos if name in info)
            if isinstance(like, dict):
                columns[name] = self._columns([info.get(name, {}) for info in infos])
            else:
                columns[name] = np.concatenate(
                    [
                        info[name] if name in info else np.full(part.num_envs, _nothing(like), like.dtype)
                        for info, part in zip(infos, self.parts, strict=True)
                    ]
                )
        return columns


def _nothing(like: npt.NDArray[Any]) -> Any:
    return None if like.dtype == object else np.zeros((), like.dtype)[()]


def _joined(observations: Sequence[Any]) -> Any:
    if isinstance(observations[0], dict):
        return {name: np.concatenate([each[name] for each in observations]) for name in observations[0]}
    return np.concatenate(observations)
