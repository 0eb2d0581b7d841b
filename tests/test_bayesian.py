"""The Bayesian policy: what it believes, where it looks, when it says so, and what it makes of a lens that errs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.calibration import shipped_calibration
from afsim.camera import Camera
from afsim.costs import CostModel
from afsim.errors import AfsimError, UnsuitableError
from afsim.keys import lane_keys
from afsim.knownlens import KnownLens
from afsim.optics import lta49_diopters, magnification
from afsim.policies import make
from afsim.policies.bayesian import Bayesian
from afsim.policies.bayesian_memory import BeliefMemory
from afsim.policy import FloatArray, Knowledge, Status
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from afsim.taskspec import Timing
from tests.conftest import make_stack
from tests.rig import make_flat, one_error

N = 49
DIOPTERS = tuple(lta49_diopters().tolist())
SPEC = TaskSpec(N, 2, 128, 128, 8, diopters=DIOPTERS)


def features_of(policy: Bayesian, truth: Any, place: Any) -> FloatArray:
    """Return what a typical patch shows the sensors (lanes, 3): the fitted mean curves, in views that are alike."""
    model = policy.fitted
    away = (np.asarray(place) - np.asarray(truth)) * (DIOPTERS[-1] - DIOPTERS[0]) / (N - 1) / model.step_diopters
    steps = np.arange(model.contrast.mean.shape[1]) - N + 1
    seen = np.full((len(away), 3), np.nan)
    if policy.sensors[0]:
        seen[:, 0] = np.exp(np.interp(away, steps, model.contrast.mean[1]))
    if policy.sensors[1]:
        assert model.disparity is not None
        calibration = shipped_calibration("zncc", model.reach)
        slope, offset = calibration.slope_offset(np.zeros((len(away), 2)))
        focus = np.interp(place, np.arange(N), DIOPTERS)
        defocus = np.interp(away, steps, model.disparity.mean[0]) * model.step_diopters
        seen[:, 1] = offset + slope * magnification(focus, calibration.focal_length_m) * defocus
        seen[:, 2] = 0.99
    return seen


def look(policy: Bayesian, features: FloatArray, here: Any, left: int, memory: Any = None) -> tuple[Any, Any]:
    """Decide once, at the centre of the field."""
    lanes = len(features)
    memory = policy.begin(lane_keys(0, np.arange(lanes)), Knowledge()) if memory is None else memory
    observation: dict[str, Any] = {
        "command": (np.broadcast_to(here, lanes) / (policy.spec.n - 1)).astype(np.float32)[:, None],
        "steps_left": np.full((lanes, 1), left, np.float32),
        "region": np.zeros((lanes, 2), np.float32),
    }
    return policy.decide(features, observation, memory)


def search(policy: Bayesian, truth: FloatArray, start: Any, budget: int) -> tuple[FloatArray, BeliefMemory, int]:
    """Play typical patches without an error of the lens; return commands, memory, and how many looks there were."""
    here, memory, looks = np.broadcast_to(np.asarray(start, np.float64), truth.shape), None, 0
    for left in range(budget, 0, -1):
        command, memory = look(policy, features_of(policy, truth, here), here, left, memory)
        np.testing.assert_allclose(memory.belief.sum(axis=1), 1.0, atol=1e-9)
        assert (memory.belief >= 0.0).all()
        here, looks = command, looks + 1
        if (memory.status != Status.SEARCHING).all():
            break
    assert memory is not None
    return here, memory, looks


def policy_of(**options: Any) -> Bayesian:
    policy = make("bayesian", SPEC, **options)
    assert isinstance(policy, Bayesian)
    return policy


# ---------------------------------------------------------------------- the belief
def test_it_begins_with_the_prior() -> None:
    fitted, uniform = policy_of(), policy_of(prior="uniform")
    for policy in (fitted, uniform):
        memory = policy.begin(lane_keys(0, np.arange(3)), Knowledge())
        np.testing.assert_allclose(memory.belief.sum(axis=1), 1.0)
    np.testing.assert_allclose(memory.belief, 1.0 / N)
    # Far is more usual than near.
    belief = fitted.begin(lane_keys(0, np.arange(1)), Knowledge()).belief[0]
    assert belief[:16].sum() > 2.0 * belief[-16:].sum()


def test_with_one_step_it_goes_to_the_median_of_its_belief() -> None:
    policy = policy_of(sensor="contrast")
    start = np.array([0.0, 10.0, 24.0, 48.0])
    command, memory = look(policy, features_of(policy, np.array([3.0, 12.0, 24.0, 40.0]), start), start, 1)
    below = memory.belief.cumsum(axis=1)
    np.testing.assert_array_equal(command, (below >= 0.5).argmax(axis=1))


def test_squared_errors_end_at_the_mean() -> None:
    policy = policy_of(sensor="contrast", cost=CostModel(squared=True))
    command, memory = look(policy, features_of(policy, np.array([9.0, 30.0]), np.array([5.0, 20.0])), [5, 20], 1)
    np.testing.assert_array_equal(command, np.rint(memory.belief @ np.arange(N)))


def test_it_finds_typical_patches_by_contrast_alone() -> None:
    truth = np.repeat([4.0, 15.0, 30.0, 44.0], 3)
    start = np.tile([0.0, 24.0, 48.0], 4)
    ends, memory, _ = search(policy_of(sensor="contrast", prior="uniform"), truth, start, 12)
    assert (np.abs(ends - truth) <= 1.0).all()
    assert (memory.confidence > 0.5).all()
    assert (memory.belief.argmax(axis=1) == ends).mean() > 0.7


def test_with_both_sensors_typical_patches_are_found_in_fewer_looks_than_by_contrast_alone() -> None:
    truth = np.repeat([4.0, 15.0, 30.0, 44.0], 3)
    start = np.tile([0.0, 24.0, 48.0], 4)
    looks = {}
    for sensor in ("both", "contrast"):
        ends, memory, _ = search(policy_of(sensor=sensor), truth, start, 12)
        assert np.isnan(memory.defocus).all() == (sensor == "contrast")
        assert (np.abs(ends - truth) <= 1.0).all()
        looks[sensor] = memory.looks.mean()
    assert looks["both"] < looks["contrast"]
    ends, memory, _ = search(policy_of(), truth, start, 1)
    assert (
        np.abs(ends - truth).mean()
        < np.abs(search(policy_of(sensor="contrast"), truth, start, 1)[0] - truth).mean()
    )


def test_more_steps_end_nearer() -> None:
    truth, start = np.linspace(2.0, 46.0, 23), np.full(23, 24.0)
    errors = [np.abs(search(policy_of(sensor="contrast"), truth, start, m)[0] - truth).mean() for m in (1, 2, 4, 8)]
    assert errors[0] > errors[1] > errors[2] >= errors[3]


def test_a_slice_seen_twice_tells_nothing_new() -> None:
    policy = policy_of(sensor="contrast")
    seen = features_of(policy, np.array([20.0]), np.array([17.0]))
    _, once = look(policy, seen, [17], 5)
    _, twice = look(policy, seen, [17], 4, once)
    np.testing.assert_array_equal(once.belief, twice.belief)


# ---------------------------------------------------------------------- what it says
def test_it_declares_where_it_stands_once_no_look_is_worth_it() -> None:
    truth = np.array([7.0, 21.0, 35.0])
    policy = policy_of(sensor="contrast", sure=0.6, least_gain=0.05)
    ends, memory, looks = search(policy, truth, 24.0, 60)
    assert looks < 2 * N
    focused = memory.status == Status.FOCUSED
    assert focused.any()
    assert (np.abs(ends - truth)[focused] <= 1.0).all()
    assert (memory.confidence[focused] >= 0.6).all()
    # What has ended stays, whatever is seen.
    command, after = look(policy, np.full((3, 3), np.nan), ends, 9, memory)
    np.testing.assert_array_equal(command, ends)
    np.testing.assert_array_equal(after.belief, memory.belief)


@pytest.mark.parametrize(("sure", "status"), [(1e-9, Status.FOCUSED), (1.0 - 1e-9, Status.SEARCHING)])
def test_the_last_move_is_in_focus_only_where_that_is_sure(sure: float, status: Status) -> None:
    policy, start = policy_of(sensor="contrast", sure=sure), np.array([0.0, 24.0, 48.0])
    seen = features_of(policy, np.array([20.0, 20.0, 20.0]), start)
    command, memory = look(policy, seen, start, 1)
    assert (command != start).any()
    assert (memory.status == status).all()
    # With a step to spare it looks once more.
    assert (look(policy, seen, start, 2)[1].status == Status.SEARCHING).any()


def test_time_that_costs_is_that_of_whole_frames_with_an_exposure() -> None:
    cost = CostModel(time_ms=0.01)
    for timing, least in ((Timing(), 100.0 / 3.0), (Timing("free"), 2.0 + 0.5 + 10.0 + 2.5)):
        policy = make("bayesian", replace(SPEC, timing=timing), cost=cost)
        assert isinstance(policy, Bayesian)
        assert policy.space.step_cost == pytest.approx(0.01 * least)


def test_it_fails_where_nothing_is_to_be_seen() -> None:
    task = FocusTask(Camera(make_flat([0.2, 0.5], n=12)), budget=20, reward="none")
    for name in ("bayesian", "bayesian:contrast"):
        episodes = Arena(task.camera).play(make(name, task.spec), task)
        assert (episodes.status[:, -1] == Status.FAILED).all()
        assert (episodes.confidence == 0.0).all()
        assert episodes.observations.max() <= 3


def test_noise_is_no_focus() -> None:
    task = FocusTask(Camera(make_flat([0.3], n=12, noise=(1e-3, 1e-5))), budget=40, reward="none")
    episodes = Arena(task.camera).play(make("bayesian", task.spec), task)
    assert (episodes.status[:, -1] == Status.FAILED).all()
    assert (episodes.confidence < 0.9).all()
    assert episodes.observations.max() <= 2 * 12


def test_moves_and_travel_that_cost_are_saved() -> None:
    truth, start = np.linspace(2.0, 46.0, 12), np.full(12, 24.0)
    looks = [
        search(policy_of(sensor="contrast", cost=cost), truth, start, 15)[1].looks.mean()
        for cost in (CostModel(), CostModel(move=0.5), CostModel(move=100.0))
    ]
    assert looks[0] > looks[1] > looks[2]
    assert looks[2] == 1.0


# ---------------------------------------------------------------------- its sensors
def test_both_sensors_fall_back_to_contrast_where_disparity_cannot_be() -> None:
    assert policy_of().sensors == (True, True)
    for change in ({"views": 1}, {"diopters": None}, {"width": 39}):
        spec = replace(SPEC, **change)
        fallback = make("bayesian", spec)
        assert isinstance(fallback, Bayesian)
        assert fallback.sensors == (True, False)
        with pytest.raises(UnsuitableError, match=r"needs dual-pixel stacks|a reach of 16 pixels needs patches"):
            make("bayesian:disparity", spec)
    assert Bayesian(replace(SPEC, dp_axis="rows", width=39)).sensors == (True, True)


def test_one_disparity_leads_near_the_focus() -> None:
    """The shift that the calibration foretells of a focus at 20, seen from 10 and from 30."""
    policy = policy_of(sensor="disparity")
    model, start = policy.fitted, np.array([10.0, 30.0])
    places = model.steps_of(N, DIOPTERS)
    shifts = np.linspace(-15.0, 15.0, 6001)
    seen = np.full((2, 3), np.nan)
    for i, here in enumerate(start):
        steps = model.defocus_of(shifts[None], np.ones((1, 6001)), places[int(here)], np.zeros((1, 2)))[0]
        seen[i, 1:] = shifts[np.abs(steps - (places[int(here)] - places[20])).argmin()], 0.99
    command, memory = look(policy, seen, start, 1)
    assert (np.abs(command - 20.0) <= 1.0).all()
    assert (memory.belief[:, 15:26].sum(axis=1) > 0.9).all()
    # Views that are hardly alike are believed less, and those that differ not at all.
    seen[:, 2] = 0.6
    _, unsure = look(policy, seen, start, 1)
    assert (unsure.confidence < memory.confidence).all()
    seen[:, 2] = 0.3
    _, blind = look(policy, seen, start, 1)
    assert (blind.status == Status.FAILED).all()


# ---------------------------------------------------------------------- its lens
def test_who_knows_the_hysteresis_ends_nearer() -> None:
    """Stacks of one kind under a wide loop: the last move makes up for the side that it comes from."""
    rng = np.random.default_rng(0)
    spec = replace(SPEC, views=1, budget=6)
    table = lta49_diopters() / policy_of().fitted.step_diopters
    truth, start = rng.uniform(8.0, 40.0, 60), rng.integers(0, N, 60)
    errors = []
    for lens in ("ideal", "ideal,hysteresis=8"):
        policy = make("bayesian", spec, lens=lens)
        assert isinstance(policy, Bayesian)
        known = KnownLens(one_error(hysteresis=8.0), table, policy.fitted.step_diopters)
        here, memory, extension = start.astype(np.float64), None, known.parked(start)
        for left in range(6, 0, -1):
            place = np.interp(known.place_of(extension), table, np.arange(N))
            here, memory = look(policy, features_of(policy, truth, place), here, left, memory)
            extension = known.moved(extension, here.astype(np.int64))
        errors.append(np.abs(np.interp(known.place_of(extension), table, np.arange(N)) - truth).mean())
    assert errors[1] < 0.7 * errors[0]


# ---------------------------------------------------------------------- what is refused
def test_more_slices_than_can_be_weighed_are_refused_when_made() -> None:
    with pytest.raises(UnsuitableError, match="fewer than 1024 slices, but these stacks have 1024"):
        make("bayesian", TaskSpec(1024, 1, 64, 64, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor": "sonar"}, "unknown bayesian sensor 'sonar'"),
        ({"prior": "hope"}, "unknown bayesian prior 'hope'"),
        ({"lens": "fog"}, "unknown lens preset 'fog'"),
        ({"sure": 1.0}, r"sure must be in \(0, 1\), got 1.0"),
        ({"least_gain": -0.1}, "least_gain must be at least 0"),
        ({"model": "nowhere.json"}, r"nowhere\.json: there is no such file"),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make("bayesian", SPEC, **options)


def test_it_plays_sets_of_other_sizes() -> None:
    camera = Camera(StackSet.from_stacks([make_stack(2.0, n=5, distances=False, views=1)]))
    task = FocusTask(camera, budget=5)
    episodes = Arena(camera).play(make("bayesian", task.spec), task)
    assert np.abs(episodes.positions[:, -1] - 2.0).mean() < 1.0
