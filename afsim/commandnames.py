"""Commands of several names: which module of afsim each of them runs."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Named(NamedTuple):
    """A module of afsim, its configuration, and what runs it; imported when it runs, so that help is quick."""

    module: str
    config: str
    runs: str = "main"


FITS: Final[Mapping[str, Named]] = {
    "bayesian": Named("fit_bayesian", "FitBayesianConfig"),
    "temperature": Named("fit_learned", "FitTemperatureConfig", "temperature_main"),
    "learned_bayesian": Named("fit_learned", "FitLearnedBayesianConfig"),
    "learned_depth": Named("fit_learned_depth", "FitLearnedDepthConfig"),
}
"""What is fitted to a set."""
AGENTS: Final[Mapping[str, Named]] = {"rl": Named("experiments.train_rl", "TrainRlConfig")}
"""What is trained besides networks."""
SEARCHES: Final[Mapping[str, Named]] = {"rl": Named("experiments.search_rl", "SearchRlConfig")}
"""What numbers are looked for."""
BENCHES: Final[Mapping[str, Named]] = {
    "measures": Named("experiments.bench_measures", "MeasuresConfig", "run"),
    "rollout": Named("experiments.bench_rollout", "RolloutConfig", "run"),
    "networks": Named("experiments.bench_networks", "NetworksConfig", "run"),
    "rl": Named("experiments.bench_rl", "RlConfig", "run"),
    "cockpit": Named("cockpit.bench", "CockpitBenchConfig", "run"),
}
"""What is measured besides the environments."""
STUDIES: Final[Mapping[str, Named]] = {
    "table1": Named("experiments.table1", "Table1Config"),
    "table2": Named("experiments.table2", "Table2Config"),
    "table3": Named("experiments.table3", "Table3Config"),
    "start_map": Named("experiments.start_map", "StartMapConfig"),
    "steps": Named("experiments.steps", "StepsConfig"),
    "optimum": Named("experiments.optimum", "OptimumConfig"),
    "robustness": Named("experiments.robustness", "RobustnessConfig"),
    "figures": Named("experiments.figures", "FiguresConfig"),
    "real_dual_pixel": Named("experiments.real_dual_pixel", "RealDualPixelConfig"),
    "statistics": Named("experiments.statistics", "StatisticsConfig"),
    "claims": Named("experiments.claims", "ClaimsConfig"),
    "uncertainty": Named("experiments.uncertainty", "UncertaintyConfig"),
    "predictions": Named("experiments.predictions", "PredictionsConfig"),
    "real_network": Named("experiments.real_network", "RealNetworkConfig"),
    "agents": Named("experiments.agents", "AgentsConfig"),
    "learning": Named("experiments.learning", "LearningConfig"),
}
"""What tables and pictures are made again."""
