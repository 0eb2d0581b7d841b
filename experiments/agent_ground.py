"""What agents are trained and judged on: environments of lenses, light and budgets side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from gymnasium.vector import AutoresetMode

from afsim.camera import Camera
from afsim.envs import AutofocusVectorEnv, MixedVectorEnv, VectorFeatureVector, VectorRepeatDeclares
from afsim.featuretable import FeatureTable, feature_table
from afsim.sensor import make_sensor
from afsim.sight import PixelSight, Sight, make_sight
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec

_VALIDATION_SEED: Final = 1_000_003


@dataclass(frozen=True, eq=False)
class Ground:
    """A set of stacks as an agent sees it.

    Attributes
    ----------
    stacks : StackSet
        With labels.
    spec : TaskSpec
        Of a task on them.
    sight : Sight
        What the agent takes from a slice.
    tables : mapping of str to FeatureTable or None
        By light: the features of all slices. None for pixels, which are captured anew each time.
    """

    stacks: StackSet
    spec: TaskSpec
    sight: Sight
    tables: Mapping[str, FeatureTable | None]

    @classmethod
    def of(cls, path: Path, sight: str, sensors: Sequence[str] = ("none",), *, shown: bool = False) -> "Ground":
        """Open a set and take, or find kept, the features of its slices by the light of each sensor preset."""
        stacks = StackSet.open(path)
        spec = FocusTask(Camera(stacks)).spec
        seen = make_sight(sight, spec)
        tables: dict[str, FeatureTable | None] = {}
        for sensor in sensors:
            camera = Camera(stacks, sensor=make_sensor(sensor))
            tables[sensor] = None if isinstance(seen, PixelSight) else feature_table(camera, seen, shown=shown)
        return cls(stacks, spec, seen, tables)

    def environment(
        self,
        lanes: int,
        *,
        cameras: Sequence[tuple[str, str]],
        steps: Sequence[int],
        declare: bool = True,
        **options: Any,
    ) -> MixedVectorEnv:
        """Return the environment of cameras (lens and sensor presets) and budgets side by side.

        Moves are relative, and asking for the index in force declares, unless nothing does. ``options`` are those
        of :class:`afsim.envs.AutofocusVectorEnv`.
        """
        kinds = [(lens, sensor, budget) for lens, sensor in cameras for budget in steps]
        parts = []
        for place, (lens, sensor, budget) in enumerate(kinds):
            own = lanes * (place + 1) // len(kinds) - lanes * place // len(kinds)
            table = self.tables[sensor]
            env = AutofocusVectorEnv(
                own,
                autoreset_mode=AutoresetMode.SAME_STEP,
                stacks=self.stacks,
                lens=lens,
                sensor=sensor,
                steps=budget,
                action_mode="relative",
                declare=declare,
                table=table,
                image_kind="uint8",
                **options,
            )
            parts.append(VectorFeatureVector(VectorRepeatDeclares(env) if declare else env, self.sight))
        return MixedVectorEnv(parts)


def validate(model: Any, env: MixedVectorEnv) -> dict[str, float]:
    """Play one episode in every lane, always the same ones, and return means over all lanes.

    Keys: ``return``; ``success``, that it ends within one slice; ``declared``, that it ends so and says so;
    ``wrong``, that it says so and is farther off; ``exact MAE``; ``steps``; ``time_ms``.
    """
    lanes = env.num_envs
    observation, _ = env.reset(seed=_VALIDATION_SEED)
    running, returns = np.ones(lanes, np.bool_), np.zeros(lanes)
    last: dict[str, Any] = {}
    state, starts = None, np.ones(lanes, np.bool_)
    while running.any():
        actions, state = model.predict(observation, state, starts, deterministic=True)
        observation, rewards, terminated, truncated, info = env.step(actions)
        starts = terminated | truncated
        returns[running] += rewards[running]
        ends = running & starts
        if ends.any():
            final = info["final_info"]
            for name in ("exact_error", "declared", "success", "step", "time_ms"):
                last.setdefault(name, np.zeros(lanes))[ends] = final[name][ends]
        running &= ~starts
    hit, says = last["success"] > 0, last["declared"] > 0
    columns = {
        "return": returns,
        "success": hit,
        "declared": hit & says,
        "wrong": says & ~hit,
        "exact MAE": np.abs(last["exact_error"]),
        "steps": last["step"],
        "time_ms": last["time_ms"],
    }
    return {name: float(np.mean(values)) for name, values in columns.items()}
