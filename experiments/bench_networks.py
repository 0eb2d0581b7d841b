"""Speed of the networks: the gathered first layer against the dense one, and what a decision takes.

Both first layers are of the same network with the same weights and see the same 49 single slices; their logits are
equal but for rounding, which is checked.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError
from afsim.experiments.bench import BenchConfig, print_row, turns
from afsim.mobilenet import fused
from afsim.modelfile import load
from afsim.modelkinds import shipped_model
from afsim.networkinput import Observations, as_views, observe, one_hot
from afsim.networks import OneHotConfig, OneHotNetwork, infer, make_network
from afsim.ordinal import ordinal_loss

_SIZE: Final = 128
_SLICES: Final = 49
_BATCH: Final = 32
# Wanted of inference and of training, by width.
_INFERENCE: Final = {1.0: 3.0, 0.25: 8.0}
_TRAINING: Final = {1.0: 2.0, 0.25: 2.0}
_SAME: Final = 1e-3


@dataclass(frozen=True)
class NetworksConfig:
    """How long is measured."""

    rounds: int = 5
    """Turns; the median ratio of a turn is reported."""
    seconds: float = 2.0
    """Length of each measurement in a turn."""
    threads: int = 0
    """Of torch; 0 for its own choice."""


def run(config: NetworksConfig) -> int:
    """Measure and print a table of ratios.

    Raises
    ------
    AfsimError
        For a configuration that measures nothing, or where the two first layers disagree.
    """
    check_whole("rounds", config.rounds, least=1)
    check_number("seconds", config.seconds, above=0.0)
    check_whole("threads", config.threads, least=0)
    if config.threads:
        torch.set_num_threads(config.threads)
    timing = BenchConfig(rounds=config.rounds, seconds=config.seconds)
    table = Table("what", "afsim /s", "reference /s", "ratio", "wanted", title="images a second; median of turns")
    for width, wanted in _INFERENCE.items():
        ours, dense = turns([(step, _SLICES) for step in inference(width)], timing)
        print_row(table, f"49 single slices, width {width:g}: gathered / dense first layer", ours, dense, wanted)
    for width, wanted in _TRAINING.items():
        ours, dense = turns([(step, _BATCH) for step in training(width)], timing)
        print_row(table, f"training, batch 32, width {width:g}: gathered / dense first layer", ours, dense, wanted)
    console = Console()
    console.print(table)
    took = decisions(config.rounds * 20)
    middle, most = 1e3 * statistics.median(took), 1e3 * float(np.quantile(took, 0.9))
    console.print(
        f"one decision of the shipped D1: {middle:.1f} ms (median of {len(took)}; 90 % under {most:.1f} ms), "
        f"{torch.get_num_threads()} thread(s) (wanted: under 10 ms)"
    )
    return 0


def inference(width: float, *, size: int = _SIZE) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what runs a network on 49 single slices, with the gathered and with the dense first layer."""
    network, seen = _made(width).eval(), single_slices(_SLICES, size)
    with torch.inference_mode():
        apart = (network(seen) - dense_logits(network, seen)).abs().max() / network(seen).abs().max()
    if not float(apart) <= _SAME:
        raise AfsimError(f"gathered and dense first layer of width {width:g} differ by {float(apart):.2g}")

    def gathered() -> None:
        with torch.inference_mode():
            network(seen)

    def dense() -> None:
        with torch.inference_mode():
            dense_logits(network, seen)

    return gathered, dense


def training(width: float, *, size: int = _SIZE) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what takes a gradient step's forward and backward pass, with either first layer."""
    network, seen = _made(width).train(), single_slices(_BATCH, size)
    truth = torch.linspace(0.0, _SLICES - 1.0, _BATCH)

    def descend(logits: Callable[[], Tensor]) -> None:
        network.zero_grad(set_to_none=True)
        ordinal_loss(logits(), truth).mean().backward()  # type: ignore[no-untyped-call]

    return lambda: descend(lambda: network(seen)), lambda: descend(lambda: dense_logits(network, seen))


def dense_logits(network: OneHotNetwork, seen: Observations) -> Tensor:
    """Return the logits (N, n) by way of the whole input (N, n V, H, W), zeros and all."""
    images = as_views(seen.images, network.config.views)
    logits: Tensor = network.backbone(one_hot(images, seen.indices, seen.lanes, seen.lane_count, network.config.n))
    return logits


def single_slices(count: int, size: int) -> Observations:
    """Return single random slices, all commands in turn."""
    rng = np.random.default_rng(0)
    images = rng.random((count, 2, size, size), np.float32)
    return observe(images, np.arange(count) % _SLICES, np.zeros((count, 2)), _SLICES)


def decisions(count: int) -> list[float]:
    """Return the seconds that each of so many decisions of the shipped D1 took, an image at a time."""
    network, seen = fused(load(shipped_model("d1")).network), single_slices(1, _SIZE)
    took = []
    for _ in range(count + 5):
        began = time.perf_counter()
        infer(network, seen)
        took.append(time.perf_counter() - began)
    return took[5:]


def _made(width: float) -> OneHotNetwork:
    network = make_network(OneHotConfig(n=_SLICES, width=width), 0)
    assert isinstance(network, OneHotNetwork)
    return network
