"""``afsim train rl``: train an agent that moves the lens with Stable-Baselines3, and store it with its log."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress, TaskID
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecMonitor

from afsim.agentfile import Agent, AgentRecord, algorithm_class, finish, load_agent, save_agent
from afsim.agentrecipe import AFTER_IMITATION, agent_recipe, changes_of
from afsim.checks import check_whole
from afsim.envs import MixedVectorEnv
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.errors import AfsimError, StoreError
from afsim.experiments.agent_ground import Ground, validate
from afsim.imitation import teach
from afsim.lens import make_lens
from afsim.options import command_line
from afsim.progress import progress
from afsim.recollection import recall_of
from afsim.rewards import make_reward
from afsim.sensor import make_sensor
from afsim.staging import staged_files
from afsim.tables import write_table

_CHECKPOINT: Final = ".checkpoint.zip"
_VALIDATION_LANES: Final = 2_000

Judge = Callable[[Sequence[Mapping[str, float]]], None]


@dataclass(frozen=True)
class TrainRlConfig:
    """Train an agent that moves the lens: from the features of slices, on two cores, or from their pixels."""

    stacks: Path
    """Set of labelled stacks to train on, e.g. bench-train."""
    validation: Path
    """Another set, by which the best agent is chosen, e.g. bench-val: never one that agents are then tested on."""
    out: Path
    """File of the agent (zip); its log lies beside it as .csv, while it trains also its checkpoint."""
    algo: str = "ppo"
    """ppo or dqn; recurrent_ppo or qrdqn with the extra rl."""
    sight: str = "network"
    """What it takes from a slice: network (also network:i1, network:FILE), contrast, or pixels:COUNT."""
    lens: str = "ideal"
    """Lens presets side by side (ideal+typical_phone), and in phases after each other (ideal/typical_phone)."""
    sensor: str = "none"
    """Sensor presets, likewise; each with every lens. One phase, or as many as lenses have. Features are taken once
    for each of them."""
    steps: tuple[int, ...] = (1, 2, 3, 4, 6)
    """Budgets side by side: the agent sees how many steps are left, and plays them all."""
    reward: str = "success"
    """What is paid (afsim.rewards): a preset, perhaps with changes: success,move=0.02."""
    time_limit_ms: float | None = None
    """Milliseconds after which an episode is broken off."""
    imitation: int = 0
    """Environment steps before all others from which ppo is taught where the focus is (afsim.imitation)."""
    timesteps: int = 1_000_000
    """Environment steps of all lanes and phases together."""
    lanes: int = 256
    """How many episodes are played at once, shared among lenses and budgets."""
    validate_every: int = 100_000
    """Environment steps between validations, each of which also stores a checkpoint."""
    hyper: str = ""
    """Changes of the algorithm's numbers (afsim.agentrecipe): learning_rate=0.0003,units=64."""
    seed: int = 0
    """Of everything that is drawn."""
    tensorboard: Path | None = None
    """Folder for TensorBoard (extra tensorboard)."""
    resume: bool = False
    """Go on from the checkpoint; replay buffers are filled anew, and episodes drawn anew."""
    quiet: bool = False
    """No progress bar and nothing on the screen."""

    @property
    def phases(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The cameras of each phase: lens and sensor presets."""
        lenses, sensors = _phases(self.lens), _phases(self.sensor)
        if len(sensors) == 1:
            sensors *= len(lenses)
        if len(sensors) != len(lenses):
            raise AfsimError(f"sensor must have one phase or as many as lens, {len(lenses)}, got {len(sensors)}")
        return tuple(tuple(product(*both)) for both in zip(lenses, sensors, strict=True))

    def ground(self, path: Path) -> Ground:
        """Return a set as the agent sees it, in the light of all phases."""
        sensors = dict.fromkeys(sensor for phase in self.phases for _, sensor in phase)
        return Ground.of(path, self.sight, tuple(sensors), shown=not self.quiet)

    def environment(self, ground: Ground, phase: int, lanes: int, *, declare: bool = True) -> MixedVectorEnv:
        """Return the vector environment of a phase."""
        return ground.environment(
            lanes,
            cameras=self.phases[phase],
            steps=self.steps,
            declare=declare,
            reward=self.reward,
            time_limit_ms=self.time_limit_ms,
        )


def _phases(text: str) -> list[list[str]]:
    return [[name.strip() for name in phase.split("+")] for phase in text.split("/")]


class _Watch(BaseCallback):
    """Validates as training goes on, keeps the best agent and a checkpoint, and moves the bar."""

    def __init__(self, training: "_Training", bar: Progress, task: TaskID) -> None:
        super().__init__()
        self._training, self._bar, self._task = training, bar, task

    def _on_step(self) -> bool:
        self._bar.update(self._task, completed=self.num_timesteps)
        return True

    def _on_rollout_start(self) -> None:
        # At a rollout's start everything collected has been learned from.
        every, rows = self._training.config.validate_every, self._training.rows
        if self.num_timesteps // every > (int(rows[-1]["timesteps"]) // every if rows else 0):
            found = self._training.note(self.model)
            for name, value in found.items():
                self.logger.record(f"validation/{name}", value)
            self._bar.update(self._task, description=f"{found['success']:.3f} in focus, {found['steps']:.2f} steps")


class _Training:
    """One training: what is known of it so far, and the files it leaves."""

    def __init__(self, config: TrainRlConfig, train: Ground, validation: Ground, judge: Judge) -> None:
        self.config, self.train, self.validation, self._judge = config, train, validation, judge
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

    @cached_property
    def validating(self) -> MixedVectorEnv:
        """What the agent is judged in: the last phase on the validation set."""
        return self.config.environment(self.validation, len(self.config.phases) - 1, _VALIDATION_LANES)

    def note(self, model: Any) -> dict[str, float]:
        """Validate; store the log, a checkpoint, and the agent if it is the best so far."""
        found = validate(model, self.validating)
        best = max((row["return"] for row in self.rows), default=-math.inf)
        self.rows.append({"timesteps": float(model.num_timesteps), **found})
        save_agent(Agent(model, self.record(found)), self.checkpoint)
        if found["return"] > best:
            save_agent(Agent(model, self.record(found)), self.config.out)
        with staged_files(self.config.out.parent) as folder:
            write_table(self.rows, folder / self.config.out.with_suffix(".csv").name)
        self._judge(self.rows)
        return found

    def begin(self) -> Any:
        """Return the model to train: new, or that of the checkpoint."""
        config = self.config
        kind = algorithm_class(config.algo)
        logs = None if config.tensorboard is None else str(config.tensorboard)
        if not config.resume:
            env = config.environment(self.train, 0, config.lanes)
            recall = recall_of(self.train.sight, self.train.spec)
            changes = {**(AFTER_IMITATION if config.imitation else {}), **changes_of(config.hyper)}
            recipe = agent_recipe(config.algo, recall, env.single_observation_space, config.lanes, changes)
            model = kind(env=_for_sb3(env), seed=config.seed, device="cpu", tensorboard_log=logs, **recipe)
        else:
            model = self._went_on()
            model.tensorboard_log = logs
        if logs is None:
            model.set_logger(Logger(None, []))  # SB3's own leaves an empty folder behind
        return model

    def _went_on(self) -> Any:
        if not self.checkpoint.is_file():
            raise StoreError(f"there is no checkpoint {self.checkpoint} to go on from")
        agent = load_agent(self.checkpoint)
        before, now = agent.record.training, self.record({}).training
        for name in before.keys() - {"log", "command", "resume", "quiet", "tensorboard", "timesteps", "out"}:
            if before[name] != now[name]:
                raise AfsimError(f"{self.checkpoint} was trained with {name} {before[name]!r}, got {now[name]!r}")
        self.rows = before["log"]
        return agent.model

    def imitate(self, model: Any, bar: Progress, task: TaskID) -> None:
        """Teach a new model where the focus is; a checkpoint is stored after it."""
        config = self.config
        bar.update(task, description="imitation", total=config.imitation)
        env = config.environment(self.train, len(config.phases) - 1, config.lanes, declare=False)
        teach(model, env, config.imitation, seed=config.seed, advance=lambda samples: bar.advance(task, samples))
        self.note(model)


def _for_sb3(env: MixedVectorEnv) -> VecMonitor:
    return VecMonitor(AutofocusVecEnv(env=env))


def run(config: TrainRlConfig, *, judge: Judge = lambda rows: None) -> Agent:
    """Train and return the best agent; it, the log and, until the end, a checkpoint are stored on the way.

    ``judge`` is told the log so far after every validation, and may end the training by raising.
    """
    check(config)
    train, validation = config.ground(config.stacks), config.ground(config.validation)
    if (train.stacks.n, train.stacks.geometry.views) != (validation.stacks.n, validation.stacks.geometry.views):
        raise AfsimError(f"{config.validation} has other slices or views than {config.stacks}")
    training = _Training(config, train, validation, judge)
    model = training.begin()
    phases = len(config.phases)
    with progress(shown=not config.quiet) as bar:
        task = bar.add_task("training", total=config.timesteps)
        if config.imitation and not training.rows:
            training.imitate(model, bar, task)
        bar.update(task, total=config.timesteps, completed=model.num_timesteps)
        for phase in range(phases):
            until = config.timesteps * (phase + 1) // phases
            if model.num_timesteps >= until:
                continue
            env = config.environment(train, phase, config.lanes)
            env.reset(seed=config.seed + model.num_timesteps)
            model.set_env(_for_sb3(env))
            watch = _Watch(training, bar, task)
            model.learn(until - model.num_timesteps, callback=watch, reset_num_timesteps=model.num_timesteps == 0)
        if not training.rows or training.rows[-1]["timesteps"] < model.num_timesteps:
            training.note(model)
    agent = finish(load_agent(config.out))
    save_agent(agent, config.out)
    training.checkpoint.unlink(missing_ok=True)
    return agent


def check(config: TrainRlConfig) -> None:
    """Raise for options out of range, before anything is opened or written."""
    for name in ("timesteps", "lanes", "validate_every"):
        check_whole(name, getattr(config, name), least=1)
    for name in ("seed", "imitation"):
        check_whole(name, getattr(config, name), least=0)
    if config.imitation and config.algo != "ppo":
        raise AfsimError(f"imitation is for the algorithm ppo, got {config.algo}")
    for steps in config.steps:
        check_whole("steps", steps, least=1)
    for cameras in config.phases:
        for lens, sensor in cameras:
            make_lens(lens)
            make_sensor(sensor)
        kinds = len(cameras) * len(config.steps)
        if config.lanes < kinds:
            raise AfsimError(f"lanes must be at least {kinds}, one for each camera and budget, got {config.lanes}")
    if config.out.suffix != ".zip":
        raise AfsimError(f"out must end in .zip, got {config.out}")
    algorithm_class(config.algo)
    make_reward(config.reward)
    changes_of(config.hyper)


def main(config: TrainRlConfig) -> int:
    """Train, and say what was found."""
    agent = run(config)
    if not config.quiet:
        told = ", ".join(f"{name} {value:.3g}" for name, value in agent.record.metrics.items())
        print(f"{config.out}: {told} on {config.validation.name}; log in {config.out.with_suffix('.csv')}")
    return 0
