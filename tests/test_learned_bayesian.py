"""The Bayesian policy on a network's readings: its likelihood, where it looks, and what it needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.calibration import Provenance
from afsim.camera import Camera
from afsim.errors import AfsimError, StoreError, UnsuitableError
from afsim.fit_learned import (
    FitLearnedBayesianConfig,
    FitTemperatureConfig,
    fit,
    profile_of,
    readings,
    run,
    tempered,
)
from afsim.modelfile import load, save
from afsim.modelkinds import shipped_model
from afsim.networklikelihood import NetworkLikelihood, file_hash, shipped_network_likelihood
from afsim.policies import LearnedBayesian, make
from afsim.policy import Status
from afsim.readingahead import median_cost, read_ahead
from afsim.rollout import Arena
from afsim.sets import open_demo
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack
from tests.seating import tiny_likelihood, tiny_network

SOURCE = Provenance("none", "", 0, 0, "")
N = 15


def readings_of(truth: np.ndarray, *, blind: int = 99) -> np.ndarray:
    """Return what an invented network says: sure from afar, unsure within ``blind`` indices of the focus."""
    index = np.arange(N)
    away = np.abs(index[None, :] - truth[:, None])
    spread = np.where(away < blind, 3.0, 0.5)[:, :, None]
    shares = np.exp(-0.5 * ((index[None, None, :] - truth[:, None, None]) / spread) ** 2)
    return np.asarray(shares / shares.sum(axis=2, keepdims=True))


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    """Return four of the demo's stacks."""
    return open_demo()[:4]


def test_mean_probabilities_are_kept_by_where_lens_and_index_lie_from_the_focus() -> None:
    truth = np.arange(3, 12, dtype=np.float64)
    profile = profile_of(readings_of(truth, blind=3), truth)
    assert profile.shape == (2 * N - 1, 2 * N - 1)
    assert profile[:, N - 1].argmax() not in range(N - 3, N + 2)  # surest where it does not stand near the focus
    assert (profile[N - 1 + 6].argmax(), profile[N - 1 - 6].argmax()) == (N - 1, N - 1)


def test_a_likelihood_survives_its_file(tmp_path: Path) -> None:
    truth = np.arange(2, 13, dtype=np.float64)
    fitted = fit(readings_of(truth), truth, "hash", 0, SOURCE)
    fitted.save(tmp_path / "one.json")
    again = NetworkLikelihood.load(tmp_path / "one.json")
    np.testing.assert_allclose(again.profile, fitted.profile, rtol=1e-3)
    np.testing.assert_allclose(again.log_prior, fitted.log_prior, atol=1e-3)
    assert (again.network, again.provenance) == ("hash", SOURCE)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(StoreError, match="network likelihood"):
        NetworkLikelihood.load(tmp_path / "one.json")
    with pytest.raises(AfsimError, match="above 0"):
        replace(fitted, prior=np.zeros(N))


def test_slices_that_err_alike_overlap() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(3, 11, 200)
    shared = np.clip(truth + rng.normal(0.0, 2.0, 200), 0, N - 1)  # every slice errs alike
    assert fit(readings_of(shared, blind=0), truth, "", 0, SOURCE).overlap > 0.8
    errs = np.clip(truth[:, None] + rng.normal(0.0, 0.5, (200, N)), 0, N - 1)  # each slice on its own
    alone = np.exp(-0.5 * ((np.arange(N)[None, None, :] - errs[:, :, None]) / 0.7) ** 2)
    fitted = fit(alone / alone.sum(axis=2, keepdims=True), truth, "", 0, SOURCE)
    assert fitted.overlap < 0.4
    assert fitted.weight([0, 1, 3]).tolist() == [1.0, 1.0, 1.0 / (1.0 + 2.0 * fitted.overlap)]


def test_what_a_look_is_expected_to_do_peaks_at_the_focus() -> None:
    truth = np.arange(2, 13, dtype=np.float64)
    fitted = replace(fit(readings_of(truth), truth, "", 0, SOURCE), prior=np.full(N, 1.0 / N))
    assert fitted.expected.shape == (N, N, N)
    for focus in range(3, 12):
        assert fitted.expected[7, focus].argmax() == focus
    assert np.allclose(fitted.expected.max(axis=2), 0.0)


def test_the_expected_distance_from_the_median() -> None:
    assert median_cost(np.array([1.0, 0.0, 1.0])) == pytest.approx(1.0)
    assert median_cost(np.array([0.0, 5.0, 0.0])) == 0.0
    belief = np.random.default_rng(1).random(N)
    least = min((belief * np.abs(np.arange(N) - k)).sum() / belief.sum() for k in range(N))
    assert median_cost(belief) == pytest.approx(least)


def test_a_look_is_taken_where_it_tells_most() -> None:
    truth = np.arange(2, 13, dtype=np.float64)
    fitted = fit(readings_of(truth, blind=4), truth, "", 0, SOURCE)
    belief = np.zeros((3, N))
    belief[:, 4:9] = 0.2
    allowed = np.ones((3, N), np.bool_)
    allowed[1, 10:] = False
    allowed[2] = False
    look, cost = np.empty(3, np.int64), np.empty(3)
    expected = np.exp(fitted.expected)
    read_ahead(belief, belief, expected, allowed, 0, 3, look, cost)
    assert abs(look[0] - 6) >= 4  # from within 4 indices of the focus this network is unsure
    assert look[1] < 10
    assert (look[2], cost[2]) == (-1, np.inf)
    assert cost[0] < median_cost(belief[0])
    # As expected by hand.
    after = [belief[0] * expected[look[0], focus] for focus in range(4, 9)]
    assert cost[0] == pytest.approx(np.mean([median_cost(each) for each in after]))


@pytest.mark.parametrize("network", ["d1", "i1"])
def test_shipped_likelihoods_are_of_the_shipped_networks(network: str) -> None:
    fitted = NetworkLikelihood.load(shipped_network_likelihood(network))
    assert fitted.network == file_hash(shipped_model(network))
    assert fitted.provenance.stacks == 200
    assert 0.0 < fitted.overlap < 1.0


def test_it_focuses_the_demo_better_than_the_network_alone(stacks: StackSet) -> None:
    arena = Arena(Camera(stacks), starts=range(0, 49, 6))
    errors = {}
    for name in ("learned_bayesian:i1", "learned-i1"):
        task = FocusTask(arena.camera, budget=3, reward="none")
        episodes = arena.play(make(name, task.spec), task)
        errors[name] = np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack]).mean()
    assert errors["learned_bayesian:i1"] < min(1.5, errors["learned-i1"])


def test_it_remembers_what_it_saw_and_says_when_it_is_sure(tmp_path: Path) -> None:
    stacks = StackSet.from_stacks([make_stack(7.0, n=N, views=2)])
    task = FocusTask(Camera(stacks), budget=9, reward="none")
    network = tiny_network("d1", N)
    options = {"model": str(network), "likelihood": str(tiny_likelihood(network, N))}
    policy = LearnedBayesian(task.spec, **options, sure=0.5)  # type: ignore[arg-type]
    sharp = np.full((1, N), 1e-9)
    sharp[0, 9] = 1.0
    memory = policy.begin(np.zeros(1, np.uint64), None)  # type: ignore[arg-type]
    seen: list[int] = []
    for _ in range(9):
        here = 3 if not seen else seen[-1]
        observation = {
            "command": np.array([[here / (N - 1)]]),
            "region": np.zeros((1, 2)),
            "steps_left": np.array([[9.0 - len(seen)]]),
        }
        before = memory
        command, memory = policy.decide(sharp, observation, memory)
        seen.append(int(command[0]))
        if before.looked[0, here]:
            np.testing.assert_array_equal(memory.evidence, before.evidence)
    assert seen[-1] == 9
    assert memory.status[0] == Status.FOCUSED
    assert memory.confidence[0] > 0.5


def test_files_must_belong_together(stacks: StackSet, tmp_path: Path) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    with pytest.raises(AfsimError, match="another network"):
        make("learned_bayesian", spec, likelihood=str(shipped_network_likelihood("i1")))
    with pytest.raises(AfsimError, match="network of learned_bayesian"):
        make("learned_bayesian:d2", spec)
    green = FocusTask(Camera(StackSet.from_stacks([make_stack(3.0, n=49, views=1)])), reward="none").spec
    assert make("learned_bayesian", green).kinds == ("i1",)  # type: ignore[attr-defined]
    with pytest.raises(UnsuitableError, match="2 views"):
        make("learned_bayesian:d1", green)


def test_commands_fit_temperature_and_likelihood(tmp_path: Path) -> None:
    stacks = StackSet.from_stacks([make_stack(float(k), n=N, views=2) for k in (4, 7, 11)])
    stacks.save(tmp_path / "set")
    path = tmp_path / "d1.safetensors"
    untempered = load(tiny_network("d1", N))
    save(untempered.network, path, untempered.record)
    model = tempered(FitTemperatureConfig(path, tmp_path / "set", quiet=True))
    assert 0.05 <= model.record.metrics["temperature"] <= 20.0
    save(model.network, path, model.record)
    fitted = run(FitLearnedBayesianConfig(path, tmp_path / "set", tmp_path / "out.json", quiet=True))
    assert (fitted.network, fitted.n) == (file_hash(path), N)
    logits, truth = readings(model, stacks, quiet=True)
    assert logits.shape == (3, N, N)
    assert truth.tolist() == [4.0, 7.0, 11.0]
    with pytest.raises(AfsimError, match="expected one of a single slice"):
        run(
            FitLearnedBayesianConfig(tiny_network("d-star", N), tmp_path / "set", tmp_path / "out.json", quiet=True)
        )
