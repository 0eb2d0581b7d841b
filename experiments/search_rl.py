"""``afsim search rl``: look for the numbers that an agent is trained best with, in a study that stops and goes on.

Optuna (extra ``search``) proposes them by its tree-structured Parzen estimator and breaks off what is behind the
median of the others; every finished training lies in the study, an SQLite file.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from afsim.agentrecipe import changes_of
from afsim.checks import check_whole
from afsim.errors import AfsimError, StoreError
from afsim.experiments.train_rl import TrainRlConfig, check, run

if TYPE_CHECKING:
    from optuna import Study, Trial

_NAME: Final = "afsim train rl"
_TRAINING: Final = "training"
# Before that many have ended there is no median to be behind of.
_FIRST: Final = 4


@dataclass(frozen=True)
class SearchRlConfig(TrainRlConfig):
    """Look for the numbers that an agent is trained best with; what --hyper gives is not looked for.

    --out is the file of the best agent, --resume goes on with a study that is there; the other options are those of
    every training.
    """

    study: Path = Path("out/search_rl.sqlite")
    """The study, an SQLite file: what has been tried and what came of it."""
    trials: int = 20
    """How many trainings end in the study, those broken off included, with those of earlier runs."""


def run_search(config: SearchRlConfig) -> "Study":
    """Search, and return the study; the agent with the highest return on the validation set is stored.

    Raises
    ------
    AfsimError
        Where Optuna is not installed, or for options out of range.
    StoreError
        For a study that is there and is not to be gone on with, that cannot be read, or is of other trainings.
    """
    check(config)
    check_whole("trials", config.trials, least=1)
    study = _open(config)
    done = _ended(study)
    if done < config.trials:
        study.optimize(
            lambda trial: _train(config, study, trial),
            callbacks=[lambda study, _: study.stop() if _ended(study) >= config.trials else None],
        )
    return study


def _open(config: SearchRlConfig) -> "Study":
    try:
        import optuna
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError as error:
        raise AfsimError("a search needs Optuna, which is not installed: pip install 'afsim[search]'") from error
    if config.study.exists() and not config.resume:
        raise StoreError(f"{config.study} is there already: --resume goes on with it")
    if config.resume and not config.study.is_file():
        raise StoreError(f"there is no study {config.study} to go on with")
    config.study.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{config.study}", study_name=_NAME, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, OptunaError) as error:
        raise StoreError(f"{config.study} cannot be read as a study: {error}") from error
    # Drawn anew where it goes on: the same seed would propose the same again.
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST)
    now, before = _told(config), study.user_attrs.get(_TRAINING)
    if before is None:
        study.set_user_attr(_TRAINING, now)
    elif before != now:
        odd = [name for name in now if now[name] != before.get(name)]
        raise StoreError(f"{config.study} is a study of trainings with another {', '.join(odd)}")
    return study


def _told(config: SearchRlConfig) -> dict[str, Any]:
    """Return what all trainings of a study have in common."""
    passing = {"study", "trials", "out", "resume", "quiet", "tensorboard"}
    values = {each.name: getattr(config, each.name) for each in fields(config) if each.name not in passing}
    told: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return told


def _ended(study: "Study") -> int:
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _train(config: SearchRlConfig, study: "Study", trial: "Trial") -> float:
    """Train once with what is proposed, and return the best return; the agent is kept where nobody's is higher."""
    from optuna import TrialPruned

    fixed = changes_of(config.hyper)
    proposed = {**fixed, **_propose(trial, config.algo, fixed)}
    hyper = ",".join(f"{name}={value:.6g}" for name, value in proposed.items())
    trial.set_user_attr("hyper", hyper)

    def judge(rows: Sequence[Mapping[str, float]]) -> None:
        trial.report(max(row["return"] for row in rows), int(rows[-1]["timesteps"]))
        if trial.should_prune():
            raise TrialPruned

    with TemporaryDirectory() as folder:
        # With the name that the best will have, so that its record tells the command that makes it.
        values = {each.name: getattr(config, each.name) for each in fields(TrainRlConfig)}
        values |= {"out": Path(folder) / config.out.name, "resume": False, "hyper": hyper}
        agent = run(TrainRlConfig(**values), judge=judge)
        reached = max(row["return"] for row in agent.record.training["log"])
        if all(reached > each.value for each in study.get_trials(deepcopy=False) if each.value is not None):
            config.out.parent.mkdir(parents=True, exist_ok=True)
            for made in (values["out"], values["out"].with_suffix(".csv")):
                shutil.move(made, config.out.with_name(made.name))
    return float(reached)


def _propose(trial: "Trial", algorithm: str, fixed: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers that are not fixed."""
    draws: dict[str, Callable[[], float]] = {
        "learning_rate": lambda: trial.suggest_float("learning_rate", 1e-4, 3e-3, log=True),
    }
    if algorithm in ("ppo", "recurrent_ppo"):
        draws["ent_coef"] = lambda: trial.suggest_float("ent_coef", 1e-4, 3e-2, log=True)
        draws["gae_lambda"] = lambda: trial.suggest_float("gae_lambda", 0.8, 1.0)
        draws["n_epochs"] = lambda: trial.suggest_int("n_epochs", 1, 8)
    else:
        draws["exploration_fraction"] = lambda: trial.suggest_float("exploration_fraction", 0.1, 0.5)
        draws["gradient_steps"] = lambda: trial.suggest_int("gradient_steps", 1, 4)
    draws["units"] = lambda: trial.suggest_categorical("units", (64, 128, 256))
    return {name: draw() for name, draw in draws.items() if name not in fixed}


def main(config: SearchRlConfig) -> int:
    """Search, and tell what was tried, the best first."""
    study = run_search(config)
    if config.quiet:
        return 0
    table = Table("training", "return", "ended", "hyper-parameters")
    for trial in sorted(study.trials, key=lambda each: -math.inf if each.value is None else each.value)[::-1]:
        value = "-" if trial.value is None else f"{trial.value:.4f}"
        table.add_row(str(trial.number), value, trial.state.name.lower(), trial.user_attrs.get("hyper", ""))
    Console().print(table)
    print(f"{config.out}: the best; with its command in it, and its log beside it")
    return 0
