"""What agents remember: sums of evidence, marks at their index, and the vector that tells them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from afsim.errors import AfsimError
from afsim.recollection import Recall, RecentRecall, Recollection, lanes_of
from afsim.task import Observation

N = 5
REACH = 2 * N - 1
NETWORK = Recall(N, N, ("contrast",))
CONTRAST = Recall(N, 0, ("contrast", "shift", "sureness"))
REGION = np.array([[0.5, -0.25]], np.float32)


def observed(index: Sequence[int], steps_left: float = 3.0) -> Observation:
    """Return what else is observed at an index of each lane."""
    return {
        "command": np.array(index, np.float32)[:, None] / np.float32(N - 1),
        "region": np.repeat(REGION, len(index), axis=0),
        "steps_left": np.full((len(index), 1), steps_left, np.float32),
    }


def saw(recall: Recall, *looks: tuple[int, list[float]]) -> Recollection:
    past = recall.begin(1)
    for index, features in looks:
        past = recall.add(past, np.array([features], np.float32), observed([index]))
    return past


def told(recall: Recall, past: Recollection, index: int, steps_left: float = 3.0) -> npt.NDArray[np.float32]:
    vectors = recall.tell(past, observed([index], steps_left))
    return np.asarray(vectors[0])


def test_what_lies_about_the_index_in_force_is_told_about_the_middle() -> None:
    shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    vector = told(NETWORK, saw(NETWORK, (1, [*np.log(shares), -1.0])), 1)
    np.testing.assert_allclose(vector[:REACH], [0, 0, 0, *shares, 0], rtol=1e-5)
    np.testing.assert_array_equal(vector[5 * REACH : 6 * REACH], [-1, -1, -1, 0, 1, 0, 0, 0, -1])


def test_evidence_of_different_slices_multiplies() -> None:
    one, other = np.log([0.1, 0.2, 0.4, 0.2, 0.1]), np.log([0.2, 0.4, 0.2, 0.1, 0.1])
    vector = told(NETWORK, saw(NETWORK, (0, [*one, -1.0]), (3, [*other, -2.0])), 3)
    product = np.exp(one + other)
    np.testing.assert_allclose(vector[1 : N + 1], product / product.sum(), rtol=1e-5)
    logarithms = (one + other - (one + other).max()) / 20
    np.testing.assert_allclose(vector[REACH : 2 * REACH], [-1, *logarithms, -1, -1, -1], atol=1e-6)
    last = (other - other.max()) / 20
    np.testing.assert_allclose(vector[2 * REACH : 3 * REACH], [-1, *last, -1, -1, -1], atol=1e-6)


def test_a_slice_seen_again_adds_nothing_but_is_the_latest() -> None:
    first, again = [-1.0, -2.0, -3.0, -4.0, -5.0, -1.0], [-5.0, -4.0, -3.0, -2.0, -1.0, -7.0]
    once, twice = saw(NETWORK, (2, first)), saw(NETWORK, (2, first), (2, again))
    for part in ("evidence", "marks", "seen"):
        np.testing.assert_array_equal(getattr(once, part), getattr(twice, part))
    np.testing.assert_array_equal(twice.latest[0], again[:N])


def test_contrast_is_told_relative_to_the_best_seen_and_lowest_where_nothing_was() -> None:
    past = saw(CONTRAST, (1, [-4.1, 0.5, 0.9]), (2, [-4.0, -0.25, 0.8]), (4, [-9.0, 0.0, 0.0]))
    vector = told(CONTRAST, past, 4)
    parts = vector[: 4 * REACH].reshape(4, REACH)
    np.testing.assert_array_equal(parts[:, N:], [[-1.0] * 4, [-1.0] * 4, [0.0] * 4, [0.0] * 4])
    np.testing.assert_allclose(parts[0, :N], [-1.0, -0.025, 0.0, -1.0, -1.0], rtol=1e-4)
    np.testing.assert_allclose(parts[1, :N], [-1.0, -0.5, 0.0, -1.0, -1.0], rtol=1e-4)
    np.testing.assert_allclose(parts[2, :N], [0.0, 0.5, -0.25, 0.0, 0.0])
    np.testing.assert_allclose(parts[3, :N], [0.0, 0.9, 0.8, 0.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize("recall", [NETWORK, CONTRAST])
def test_the_vector_ends_with_where_the_lens_stands_and_what_is_left(recall: Recall) -> None:
    vector = told(recall, saw(recall, (3, [-1.0] * recall.features)), 3, steps_left=1.0)
    assert vector.shape == (recall.size,)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector[-REACH - 4 : -4], [-1, 0, 0, 0, 1, 0, -1, -1, -1])
    np.testing.assert_allclose(vector[-4:], [0.75, 1.0, 0.5, -0.25])
    assert told(recall, saw(recall), 0, steps_left=4.0)[-3] == 0.25
    assert told(recall, saw(recall), 0, steps_left=0.0)[-3] == 1.0  # after the last


def test_lanes_do_not_touch_each_other_and_what_was_is_left_as_it_was() -> None:
    rng = np.random.default_rng(0)
    features, index = rng.normal(-3.0, 1.0, (3, 6)).astype(np.float32), [4, 0, 2]
    empty = NETWORK.begin(3)
    together = NETWORK.add(empty, features, observed(index))
    assert not empty.seen.any()
    assert not empty.evidence.any()
    for lane in range(3):
        alone = NETWORK.add(NETWORK.begin(1), features[[lane]], observed([index[lane]]))
        for part, whole in zip(alone, lanes_of(together, np.array([lane])), strict=True):
            np.testing.assert_array_equal(part, whole)


def test_features_of_another_sight_are_refused() -> None:
    with pytest.raises(AfsimError, match=r"features must be of shape \(1, 6\), got \(1, 3\)"):
        NETWORK.add(NETWORK.begin(1), np.zeros((1, 3), np.float32), observed([0]))


def test_the_last_images_are_told_oldest_first_and_zeros_before() -> None:
    recall = RecentRecall(3, (2, 4, 5), np.dtype(np.uint8))
    past = recall.begin(2)
    images = [np.full((2, 2, 4, 5), value, np.uint8) for value in (10, 20, 30, 40)]
    told = []
    for step, image in enumerate(images):
        seen = observed([step, 4 - step], steps_left=9.0)
        past = recall.add(past, image, seen)
        told.append(recall.tell(past, seen))
    assert told[0]["image"].shape == (2, 6, 4, 5)
    np.testing.assert_array_equal(told[1]["image"][0, :, 0, 0], [0, 0, 10, 10, 20, 20])
    np.testing.assert_array_equal(told[3]["image"][1, :, 3, 4], [20, 20, 30, 30, 40, 40])
    np.testing.assert_array_equal(told[1]["command"], [[-1.0, 0.0, 0.25], [-1.0, 1.0, 0.75]])
    np.testing.assert_array_equal(told[3]["command"], [[0.25, 0.5, 0.75], [0.75, 0.5, 0.25]])
    np.testing.assert_array_equal(told[3]["steps_left"], [[9.0], [9.0]])


def test_at_least_one_image_is_remembered() -> None:
    with pytest.raises(AfsimError, match="count must be at least 1 observation, got 0"):
        RecentRecall(0, (1, 4, 4), np.dtype(np.uint8))
