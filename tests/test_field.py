"""The centre crop: patches are in it as a whole, or they are not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.field import inside_crop
from afsim.stackset import StackSet
from tests.conftest import make_stack


def patches_at(places: list[tuple[float, float]], size: int = 32, **metadata: Any) -> StackSet:
    stack = make_stack(5.0, size=size)
    return StackSet.from_stacks(replace(stack, region=place, metadata=metadata) for place in places)


def test_a_patch_is_inside_up_to_the_last_pixel() -> None:
    # The crop is 1344 x 1008 of 2016 x 1512: a patch of 32 pixels is inside while its centre is within 656 and 488.
    last_x, last_y, pixel_x, pixel_y = 656 / 1008, 488 / 756, 1 / 1008, 1 / 756
    inside = [(0.0, 0.0), (last_x, last_y), (-last_x, 0.0), (0.0, -last_y)]
    outside = [(last_x + pixel_x, 0.0), (0.0, last_y + pixel_y), (-last_x - pixel_x, 0.0), (0.9, 0.9)]
    assert inside_crop(patches_at(inside + outside)).tolist() == [True] * 4 + [False] * 4


def test_a_larger_patch_and_a_smaller_crop_leave_less_room() -> None:
    places = [(x, 0.0) for x in np.linspace(0.0, 0.98, 50)]
    counts = [
        inside_crop(patches_at(places, size), factor).sum() for size, factor in ((16, 1.5), (64, 1.5), (64, 2))
    ]
    assert 0 < counts[2] < counts[1] < counts[0] < 50
    assert inside_crop(patches_at(places), 1.0).all()


def test_a_margin_does_not_count() -> None:
    edge = [(656 / 1008 - 8 / 1008, 0.0)]
    assert not inside_crop(patches_at(edge, 64))[0]
    assert inside_crop(patches_at(edge, 64, margin=16))[0]


def test_upright_recordings_have_their_long_side_along_the_rows() -> None:
    place = [(480 / 756, 0.0), (0.0, 650 / 1008)]
    assert inside_crop(patches_at(place, dp_axis="rows")).tolist() == [True, True]
    assert inside_crop(patches_at([(500 / 756, 0.0)], dp_axis="rows")).tolist() == [False]
    assert inside_crop(patches_at([(500 / 1008, 0.0)])).tolist() == [True]


def test_the_frame_that_a_recording_tells_of_counts() -> None:
    assert inside_crop(patches_at([(0.5, 0.5)])).tolist() == [True]
    assert inside_crop(patches_at([(0.5, 0.5)], frame_px=[100, 100])).tolist() == [False]


@pytest.mark.parametrize("factor", [0.9, 0.0, float("nan"), "half"])
def test_a_crop_larger_than_the_frame_is_refused(factor: Any) -> None:
    with pytest.raises(AfsimError, match="factor of the crop must be"):
        inside_crop(patches_at([(0.0, 0.0)]), factor)
