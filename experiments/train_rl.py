"""``afsim train rl``: train an agent that moves the lens with Stable-Baselines3, and store it with its log."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode
from rich.progress import Progress, TaskID
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from afsim.agentfile import Agent, AgentRecord, algorithm_class, finish, load_agent, save_agent
from afsim.agentrecipe import agent_recipe
from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.envs import AutofocusVectorEnv, MixedVectorEnv, VectorFeatureVector, VectorRepeatDeclares
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.errors import AfsimError, StoreError
from afsim.featuretable import FeatureTable, feature_table
from afsim.lens import make_lens
from afsim.options import command_line
from afsim.progress import progress
from afsim.recollection import Recall
from afsim.sight import Sight, make_sight
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table
from afsim.task import FocusTask, TaskSpec

_CHECKPOINT: Final = ".checkpoint.zip"
_VALIDATION_LANES: Final = 2_000
_VALIDATION_SEED: Final = 1_000_003


@dataclass(frozen=True)
class TrainRlConfig:
    """Train an agent that moves the lens: from the features of a table, on two cores."""

    stacks: Path
    """Set of labelled stacks to train on, e.g. bench-train."""
    validation: Path
    """Another set, by which the best agent is chosen, e.g. bench-val: never one that agents are then tested on."""
    out: Path
    """File of the agent (zip); its log lies beside it as .csv, while it trains also its checkpoint."""
    algo: str = "ppo"
    """ppo or dqn; recurrent_ppo or qrdqn with the extra rl."""
    sight: str = "network"
    """What it takes from a slice: network (also network:i1, network:FILE) or contrast."""
    lens: str = "ideal"
    """Lens presets side by side (ideal+typical_phone), and in phases after each other (ideal/typical_phone)."""
    steps: tuple[int, ...] = (1, 2, 3, 4, 6)
    """Budgets side by side: the agent sees how many steps are left, and plays them all."""
    reward: str = "success"
    """What is paid (afsim.rewards): a preset, perhaps with changes: success,move=0.02."""
    time_limit_ms: float | None = None
    """Milliseconds after which an episode is broken off."""
    timesteps: int = 1_000_000
    """Environment steps of all lanes and phases together."""
    lanes: int = 256
    """How many episodes are played at once, shared among lenses and budgets."""
    validate_every: int = 100_000
    """Environment steps between validations, each of which also stores a checkpoint."""
    seed: int = 0
    """Of everything that is drawn."""
    tensorboard: Path | None = None
    """Folder for TensorBoard (extra tensorboard)."""
    resume: bool = False
    """Go on from the checkpoint; replay buffers are filled anew, and episodes drawn anew."""
    quiet: bool = False
    """No progress bar and nothing on the screen."""

    @property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        """The lenses of each phase."""
        return tuple(tuple(lens.strip() for lens in phase.split("+")) for phase in self.lens.split("/"))


class Ground(NamedTuple):
    """What environments are made of."""

    stacks: StackSet
    spec: TaskSpec
    sight: Sight
    table: FeatureTable


def ground_of(config: TrainRlConfig, path: Path) -> Ground:
    """Open a set and take, or find kept, the features of its slices."""
    stacks = StackSet.open(path)
    camera = Camera(stacks)
    spec: TaskSpec = FocusTask(camera, reward=config.reward).spec
    sight = make_sight(config.sight, spec)
    return Ground(stacks, spec, sight, feature_table(camera, sight, shown=not config.quiet))


def environment(config: TrainRlConfig, ground: Ground, lenses: Sequence[str], lanes: int) -> "MixedVectorEnv":
    """Return the vector environment of lenses and budgets side by side, played from the table."""
    kinds = [(lens, steps) for lens in lenses for steps in config.steps]
    parts = []
    for place, (lens, steps) in enumerate(kinds):
        own = lanes * (place + 1) // len(kinds) - lanes * place // len(kinds)
        env = AutofocusVectorEnv(
            own,
            autoreset_mode=AutoresetMode.SAME_STEP,
            stacks=ground.stacks,
            lens=lens,
            steps=steps,
            action_mode="relative",
            declare=True,
            reward=config.reward,
            table=ground.table,
            time_limit_ms=config.time_limit_ms,
        )
        parts.append(VectorFeatureVector(VectorRepeatDeclares(env), ground.sight))
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


class _Watch(BaseCallback):
    """Validates as training goes on, keeps the best agent and a checkpoint, and moves the bar."""

    def __init__(self, training: "_Training", env: MixedVectorEnv, bar: Progress, task: TaskID) -> None:
        super().__init__()
        self._training, self._env, self._bar, self._task = training, env, bar, task

    def _on_step(self) -> bool:
        self._bar.update(self._task, completed=self.num_timesteps)
        return True

    def _on_rollout_start(self) -> None:
        # At a rollout's start everything collected has been learned from.
        every, rows = self._training.config.validate_every, self._training.rows
        if self.num_timesteps // every > (int(rows[-1]["timesteps"]) // every if rows else 0):
            found = self._training.note(self.model, self._env)
            for name, value in found.items():
                self.logger.record(f"validation/{name}", value)
            self._bar.update(self._task, description=f"{found['success']:.3f} in focus, {found['steps']:.2f} steps")


class _Training:
    """One training: what is known of it so far, and the files it leaves."""

    def __init__(self, config: TrainRlConfig, train: Ground, validation: Ground) -> None:
        self.config, self.train, self.validation = config, train, validation
        self.rows: list[dict[str, float]] = []

    @property
    def checkpoint(self) -> Path:
        """Where the agent lies while it trains."""
        return self.config.out.with_suffix(_CHECKPOINT)

    def record(self, metrics: Mapping[str, float]) -> AgentRecord:
        """Return the record of the agent as it stands."""
        config, stacks = self.config, self.train.stacks
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
        told = {**plain, "steps": list(config.steps), "command": command_line("train rl", config), "log": self.rows}
        return AgentRecord(
            config.algo,
            config.sight,
            stacks.n,
            stacks.geometry.views,
            data=stacks.digest,
            seed=config.seed,
            training=told,
            metrics=dict(metrics),
        )

    def note(self, model: Any, env: MixedVectorEnv) -> dict[str, float]:
        """Validate; store the log, a checkpoint, and the agent if it is the best so far."""
        found = validate(model, env)
        best = max((row["return"] for row in self.rows), default=-math.inf)
        self.rows.append({"timesteps": float(model.num_timesteps), **found})
        save_agent(Agent(model, self.record(found)), self.checkpoint)
        if found["return"] > best:
            save_agent(Agent(model, self.record(found)), self.config.out)
        with staged_files(self.config.out.parent) as folder:
            write_table(self.rows, folder / self.config.out.with_suffix(".csv").name)
        return found

    def begin(self) -> Any:
        """Return the model to train: new, or that of the checkpoint."""
        config = self.config
        kind = algorithm_class(config.algo)
        env = environment(config, self.train, config.phases[0], config.lanes)
        logs = None if config.tensorboard is None else str(config.tensorboard)
        if not config.resume:
            recall, space = Recall.of(self.train.sight, self.train.spec), env.single_observation_space
            recipe = agent_recipe(config.algo, recall, space, config.lanes)  # type: ignore[arg-type]
            model = kind(env=_for_sb3(env), seed=config.seed, device="cpu", tensorboard_log=logs, **recipe)
            return model
        if not self.checkpoint.is_file():
            raise StoreError(f"there is no checkpoint {self.checkpoint} to go on from")
        agent = load_agent(self.checkpoint)
        before, now = agent.record.training, self.record({}).training
        for name in before.keys() - {"log", "command", "resume", "quiet", "tensorboard", "timesteps", "out"}:
            if before[name] != now[name]:
                raise AfsimError(f"{self.checkpoint} was trained with {name} {before[name]!r}, got {now[name]!r}")
        self.rows = before["log"]
        agent.model.tensorboard_log = logs
        return agent.model


def _for_sb3(env: MixedVectorEnv) -> VecMonitor:
    return VecMonitor(AutofocusVecEnv(env=env))


def run(config: TrainRlConfig) -> Agent:
    """Train and return the best agent; it, the log and, until the end, a checkpoint are stored on the way."""
    _check(config)
    train, validation = ground_of(config, config.stacks), ground_of(config, config.validation)
    if (train.stacks.n, train.stacks.geometry.views) != (validation.stacks.n, validation.stacks.geometry.views):
        raise AfsimError(f"{config.validation} has other slices or views than {config.stacks}")
    training = _Training(config, train, validation)
    model = training.begin()
    phases = config.phases
    with progress(shown=not config.quiet) as bar:
        task = bar.add_task("training", total=config.timesteps, completed=model.num_timesteps)
        for place, lenses in enumerate(phases):
            until = config.timesteps * (place + 1) // len(phases)
            if model.num_timesteps >= until:
                continue
            env = environment(config, train, lenses, config.lanes)
            env.reset(seed=config.seed + model.num_timesteps)
            model.set_env(_for_sb3(env))
            watched = environment(config, validation, phases[-1], _VALIDATION_LANES)
            watch = _Watch(training, watched, bar, task)
            model.learn(until - model.num_timesteps, callback=watch, reset_num_timesteps=model.num_timesteps == 0)
        if not training.rows or training.rows[-1]["timesteps"] < model.num_timesteps:
            training.note(model, environment(config, validation, phases[-1], _VALIDATION_LANES))
    agent = finish(load_agent(config.out))
    save_agent(agent, config.out)
    training.checkpoint.unlink(missing_ok=True)
    return agent


def _check(config: TrainRlConfig) -> None:
    for name in ("timesteps", "lanes", "validate_every"):
        check_whole(name, getattr(config, name), least=1)
    check_whole("seed", config.seed, least=0)
    for steps in config.steps:
        check_whole("steps", steps, least=1)
    for lenses in config.phases:
        for lens in lenses:
            make_lens(lens)
        kinds = len(lenses) * len(config.steps)
        if config.lanes < kinds:
            raise AfsimError(f"lanes must be at least {kinds}, one for each lens and budget, got {config.lanes}")
    if config.out.suffix != ".zip":
        raise AfsimError(f"out must end in .zip, got {config.out}")
    algorithm_class(config.algo)


def main(config: TrainRlConfig) -> int:
    """Train, and say what was found."""
    agent = run(config)
    if not config.quiet:
        told = ", ".join(f"{name} {value:.3g}" for name, value in agent.record.metrics.items())
        print(f"{config.out}: {told} on {config.validation.name}; log in {config.out.with_suffix('.csv')}")
    return 0
