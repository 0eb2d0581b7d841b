"""Policies for tests of what all of them promise: trained ones get a network for stacks of any number of slices."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from afsim import policies
from afsim.agentfile import Agent, AgentRecord, algorithm_class, save_agent
from afsim.agentrecipe import agent_recipe
from afsim.calibration import Provenance
from afsim.depthcalibration import DepthCalibration
from afsim.depthfile import DepthModel, save_depth
from afsim.depthnetwork import DepthConfig, make_depth_network
from afsim.modelfile import ModelRecord, save
from afsim.modelkinds import model_kind
from afsim.networklikelihood import NetworkLikelihood, file_hash
from afsim.networks import CompactConfig, make_network
from afsim.policies import POLICIES
from afsim.policies.learned import Learned
from afsim.policies.learned_bayesian import LearnedBayesian
from afsim.policies.learned_depth import LearnedDepth
from afsim.policies.reinforced import Reinforced
from afsim.policies.text import split_policy
from afsim.policy import FocusPolicy
from afsim.recollection import Recall
from afsim.rollout import Arena
from afsim.task import TaskSpec


def make(name: str, spec: TaskSpec, **options: Any) -> FocusPolicy:
    """Return a policy as :func:`afsim.policies.make` does; of a trained one the network fits the task."""
    base, choice, _ = split_policy(name)
    kind = None if choice else POLICIES.get(base)
    if kind is not None and issubclass(kind, Learned):
        last = model_kind("i1" if kind is LearnedBayesian and spec.views == 1 else kind.kind)
        files = [tiny_network(each, spec.n) for each in (*last.previous, last.name)]
        options = {"model": ",".join(map(str, files)), **options}
        if kind is LearnedBayesian:
            options = {"likelihood": str(tiny_likelihood(files[0], spec.n)), **options}
    if kind is Reinforced:
        options = {"model": str(tiny_agent(spec.n, spec.views)), **options}
    if kind is LearnedDepth:
        options = {"model": str(tiny_depth()), **options}
    return policies.make(name, spec, **options)


@cache
def tiny_network(kind: str, n: int) -> Path:
    """Return the file of an untrained network for stacks of n slices; it is removed with the process."""
    config = CompactConfig(n=n, views=model_kind(kind).views, width=0.1, features=16, hidden=16)
    path = Path(_folder().name) / f"{kind}-{n}.safetensors"
    save(make_network(config, 0), path, ModelRecord("none", 0, training={"model": kind}))
    return path


@cache
def tiny_agent(n: int, views: int, algorithm: str = "ppo") -> Path:
    """Return the file of an untrained agent, which sees what an untrained network says."""
    sight = f"network:{tiny_network('i1', n)}"
    recall = Recall(n, n, ("contrast",))
    space = spaces.Box(-1.0, 1.0, (recall.size,), np.float32)
    recipe = agent_recipe(algorithm, recall, space, 1)
    recipe["policy_kwargs"]["net_arch"] = [16]
    env = DummyVecEnv([lambda: _Nothing(space, spaces.Discrete(2 * n - 1))])
    model = algorithm_class(algorithm)(env=env, seed=0, device="cpu", **recipe)
    path = Path(_folder().name) / f"agent-{n}-{views}-{algorithm}.zip"
    save_agent(Agent(model, AgentRecord(algorithm, sight, n, views, "none", 0)), path)
    return path


def ends_in(env: Any, agent: Agent, arena: Arena) -> Any:
    """Return where an agent ends in a vector environment, one lane for each (stack, start) of an arena."""
    observation, _ = env.reset(seed=0, options={"stack": arena.stack, "start": arena.start})
    running, ends = np.ones(len(arena.stack), np.bool_), np.zeros(len(arena.stack))
    while running.any():
        observation, _, done, _, info = env.step(agent.model.predict(observation, deterministic=True)[0])
        ending = running & done
        if ending.any():
            ends[ending] = info["final_info"]["position"][ending]
        running &= ~done
    return ends


class _Nothing(gym.Env[Any, Any]):
    """An environment of spaces alone."""

    def __init__(self, seen: spaces.Box, actions: spaces.Discrete) -> None:
        self.observation_space, self.action_space = seen, actions


@cache
def tiny_depth() -> Path:
    """Return the file of an untrained network of depth, calibrated for all distances, by which the lens moves."""
    table = np.linspace(0.0, 12.0, 5)
    calibration = DepthCalibration(table, np.full(5, 400.0), table, np.ones(5))
    network = make_depth_network(DepthConfig((4, 4)), 0)
    path = Path(_folder().name) / "learned_depth.safetensors"
    save_depth(DepthModel(network, calibration, Provenance("none", "", 0, 0)), path)
    return path


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory()


@cache
def tiny_likelihood(network: Path, n: int) -> Path:
    """Return the file of an invented likelihood for a network's readings, for stacks of n slices."""
    apart = np.abs(np.arange(1 - n, n))
    profile = np.repeat(np.exp(-apart / 2.0)[None] + 1e-3, 2 * n - 1, axis=0)
    path = network.with_suffix(".json")
    source = Provenance("none", "", 0, 0, "")
    NetworkLikelihood(file_hash(network), 0.5, np.full(n, 1.0 / n), profile, source).save(path)
    return path
