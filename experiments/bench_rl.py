"""Speed of reinforcement learning: PPO over the native vector environment against PPO over a loop of single ones.

Both learn: updates of the policy are in the rate. They play the same game from the same table of features.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from afsim.agentfile import algorithm_class
from afsim.agentrecipe import agent_recipe
from afsim.camera import Camera
from afsim.checks import check_number, check_whole
from afsim.envs import (
    AutofocusEnv,
    AutofocusVectorEnv,
    FeatureVector,
    RepeatDeclares,
    VectorFeatureVector,
    VectorRepeatDeclares,
)
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.experiments.bench import BenchConfig, print_row, turns
from afsim.featuretable import feature_table
from afsim.recollection import recall_of
from afsim.sets import open_demo
from afsim.sight import make_sight
from afsim.task import FocusTask

_WANTED: Final = 2.0


@dataclass(frozen=True)
class RlConfig:
    """What learns, and how long is measured."""

    sight: str = "network"
    """What the agent takes from a slice: network or contrast."""
    lanes: int = 256
    """How many episodes are played at once."""
    rounds: int = 3
    """Turns; the median ratio of a turn is reported."""
    seconds: float = 5.0
    """Least length of each measurement in a turn."""


def run(config: RlConfig) -> int:
    """Measure and print environment steps per second of both, and their ratio.

    Raises
    ------
    AfsimError
        For a configuration that measures nothing, or a sight that does not exist.
    """
    check_whole("lanes", config.lanes, least=1)
    check_whole("rounds", config.rounds, least=1)
    check_number("seconds", config.seconds, above=0.0)
    stacks = open_demo()
    spec = FocusTask(Camera(stacks)).spec
    sight = make_sight(config.sight, spec)
    options: dict[str, Any] = {
        "stacks": stacks,
        "action_mode": "relative",
        "declare": True,
        "reward": "success",
        "table": feature_table(Camera(stacks), sight, shown=True),
    }

    def native(env: Any) -> Any:
        return VectorFeatureVector(VectorRepeatDeclares(env), sight)

    def single() -> Any:
        return FeatureVector(RepeatDeclares(AutofocusEnv(**options)), sight)

    def native_env() -> VecEnv:
        env = AutofocusVectorEnv(config.lanes, autoreset_mode="SameStep", **options)
        return AutofocusVecEnv(env=native(env))

    kinds = (native_env, lambda: DummyVecEnv([single] * config.lanes))
    models = []
    for make_env in kinds:
        env = make_env()
        space: Any = env.observation_space
        recipe = agent_recipe("ppo", recall_of(sight, spec), space, config.lanes)
        models.append(algorithm_class("ppo")(env=VecMonitor(env), seed=0, device="cpu", **recipe))
    steps = [model.n_steps * config.lanes for model in models]
    learn = [
        partial(model.learn, each, reset_num_timesteps=False) for model, each in zip(models, steps, strict=True)
    ]
    for call in learn:
        call()
    timing = BenchConfig(rounds=config.rounds, seconds=config.seconds)
    ours, loop = turns(list(zip(learn, steps, strict=True)), timing)
    table = Table("environment steps per second, learning", "native", "DummyVecEnv", "ratio", "wanted")
    print_row(table, f"PPO from {config.sight}, {config.lanes} lanes", ours, loop, _WANTED)
    Console().print(table)
    return 0
