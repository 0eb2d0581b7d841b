"""The contrast measures on recorded stacks of "Learning to Autofocus"."""

from pathlib import Path

import numpy as np
import pytest

from afsim.measures import MEASURES
from afsim.read_patches import LearnAfPatchesReader
from afsim.stack import FocalStack


@pytest.fixture(scope="module")
def patches(real_data: Path) -> list[FocalStack]:
    reader = LearnAfPatchesReader(real_data / "learnaf_patches", patches="A")
    return [stack for recording in reader.recordings() for stack in recording.stacks()]


def mean_absolute_error(name: str, stacks: list[FocalStack]) -> float:
    errors = []
    for stack in stacks:
        assert stack.best_index is not None
        errors.append(abs(float(MEASURES[name](stack.green()).argmax()) - stack.best_index))
    return float(np.mean(errors))


@pytest.mark.parametrize(
    "name",
    [
        "mean_local_ratio_4",
        "mean_local_log_ratio_4",
        "mean_local_norm_dist_sq",
        "mean_local_norm_dist_sq_4",
        "wavelet_sum_2",
        "wavelet_ratio_2",
        "mean_wavelet_log_ratio_2",
        "mean_gradient_magnitude",
        "gradient_magnitude_variance",
        "absolute_laplacian_variance",
    ],
)
def test_the_best_rows_find_the_focus_within_the_labels_error(name: str, patches: list[FocalStack]) -> None:
    assert mean_absolute_error(name, patches) < 2.2


@pytest.mark.parametrize("name", ["dct_reduced_energy_ratio", "modified_dct"])
def test_rows_without_a_part_in_focus_miss_it(name: str, patches: list[FocalStack]) -> None:
    assert mean_absolute_error(name, patches) > 8.0
