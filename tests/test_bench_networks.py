"""The benchmark of networks: both first layers do the same. Nothing is timed."""

import pytest
import torch

from afsim.errors import AfsimError
from afsim.experiments import bench_networks
from afsim.experiments.bench_networks import (
    NetworksConfig,
    decisions,
    dense_logits,
    inference,
    single_slices,
    training,
)
from afsim.mobilenet import fused
from afsim.modelfile import load
from afsim.modelkinds import shipped_model
from afsim.networks import OneHotConfig, OneHotNetwork, infer, make_network
from afsim.ordinal import ordinal_loss


def test_both_first_layers_say_and_learn_the_same() -> None:
    network = make_network(OneHotConfig(n=49, width=0.25), 0).eval()
    assert isinstance(network, OneHotNetwork)
    seen, truth = single_slices(5, 32), torch.arange(5.0)
    torch.testing.assert_close(network(seen), dense_logits(network, seen), rtol=1e-3, atol=1e-6)
    weights = list(network.parameters())
    gradients = [
        torch.autograd.grad(ordinal_loss(logits, truth).mean(), weights)
        for logits in (network(seen), dense_logits(network, seen))
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-5)


def test_what_is_timed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (*inference(0.25, size=32), *training(0.25, size=32)):
        step()
    assert len(decisions(3)) == 3
    monkeypatch.setattr(bench_networks, "dense_logits", lambda network, seen: torch.zeros(49, 49))
    with pytest.raises(AfsimError, match="differ"):
        inference(0.25, size=32)


def test_a_fused_network_says_the_same() -> None:
    network = load(shipped_model("d1")).network
    seen = single_slices(3, 128)
    torch.testing.assert_close(infer(fused(network), seen), infer(network, seen), rtol=1e-4, atol=1e-4)
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in fused(network).modules()) == 1
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules()) > 50


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NetworksConfig(rounds=0), "rounds"),
        (NetworksConfig(seconds=0.0), "seconds"),
        (NetworksConfig(threads=-1), "threads"),
    ],
)
def test_a_measurement_of_nothing_is_refused(config: NetworksConfig, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        bench_networks.run(config)
