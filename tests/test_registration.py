"""Registration: what focal breathing has moved comes back, for both views alike, and nothing is made up."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from afsim.errors import AfsimError, WithheldError
from afsim.optics import magnification
from afsim.registration import Registration, register
from afsim.setconfig import make_set, set_metadata
from afsim.sets import render_in_order
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.zoomfit import breathing, fit_zoom
from afsim.zoomsearch import STEP, fit_gain, search_zooms
from tests.conftest import LEVELS, make_stack

FloatArray = npt.NDArray[np.float64]
DIOPTERS = np.linspace(0.25, 9.75, 13)
FRAME = (500, 400)
MARGIN, SIDE = 16, 96


class Picture:
    """Random waves, known at every place: what a camera sees of it at any zoom needs no interpolation."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        angle, wavelength = rng.uniform(0.0, np.pi, 60), rng.uniform(10.0, 60.0, 60)
        self.omega = 2.0 * np.pi / wavelength
        self.waves = self.omega[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.phase = rng.uniform(0.0, 2.0 * np.pi, 60)

    def seen(self, zoom: float, centre: Any, *, side: int = SIDE, blur: float = 0.0) -> FloatArray:
        """Return (side, side): content at r from ``centre`` is seen at ``zoom`` r, blurred by a Gaussian."""
        axis = np.arange(side, dtype=np.float64)
        x, y = ((axis - c) / zoom + c for c in centre)
        strength = np.exp(-0.5 * (blur * self.omega / zoom) ** 2)
        # cos(a + b) of the places down and across, as two matrix products.
        down, across = y[:, None] * self.waves[:, 1] + self.phase, self.waves[:, 0, None] * x
        waves: FloatArray = (strength * np.cos(down)) @ np.cos(across) - (strength * np.sin(down)) @ np.sin(across)
        return 0.4 + 0.02 * waves


def principal_point(region: tuple[float, float], side: int = SIDE) -> FloatArray:
    """Return where the middle of the frame is in a patch, x and y."""
    return np.asarray((side - 1) / 2.0 - np.array(region) * np.array(FRAME) / 2.0)


def recording(
    seed: int = 0,
    *,
    region: tuple[float, float] = (0.5, -0.4),
    gain: float = 1.0,
    views: int = 2,
    reference: int = 6,
    margin: int = MARGIN,
    blur: float = 0.0,
    noise: float = 0.0,
) -> FocalStack:
    """Make a stack that breathes, of a picture for each view."""
    scale = (magnification(DIOPTERS) / magnification(DIOPTERS)[reference]) ** gain
    centre = principal_point(region)
    pictures = [Picture(10 * seed + view) for view in range(views)]
    blurs = blur * np.abs(np.arange(len(DIOPTERS)) - reference)
    images = np.array([[p.seen(s, centre, blur=b) for p in pictures] for s, b in zip(scale, blurs, strict=True)])
    images += noise * np.random.default_rng(seed).standard_normal(images.shape)
    raw = np.rint(LEVELS.black + images * 959).clip(0, 1023).astype(np.uint16)
    metadata = {"margin": margin, "frame_px": list(FRAME), "breathing": gain}
    return FocalStack(
        raw,
        LEVELS,
        DIOPTERS,
        best_index=reference,
        region=region,
        noise=(1e-4, 1e-6),
        name=f"{seed}",
        metadata=metadata,
    )


def recordings(count: int = 2, **options: Any) -> StackSet:
    """Make a set of breathing stacks at several places of the frame."""
    places = [(0.5, -0.4), (-0.3, 0.6), (0.1, 0.1), (0.7, 0.5)]
    return StackSet.from_stacks(recording(i, region=places[i], **options) for i in range(count))


def residual(stacks: StackSet, skip: int = 0) -> float:
    """Return the rms difference of all slices from the reference 6, in digital numbers."""
    images = np.asarray(stacks.images, dtype=np.float64)[..., skip : -skip or None, skip : -skip or None]
    return float(np.sqrt(np.mean((images - images[:, 6:7]) ** 2)))


# ---------------------------------------------------------------------- calibrated
@pytest.mark.parametrize("method", ["calibrated", "search"])
@pytest.mark.parametrize("views", [1, 2])
def test_all_slices_become_the_reference(method: Any, views: int) -> None:
    stacks = recordings(views=views)
    registered = register(stacks, method)
    assert registered.geometry == stacks.geometry._replace(height=64, width=64)
    inner = stacks.images[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.array_equal(registered.images[:, 6], inner[:, 6])
    before = float(np.sqrt(np.mean((inner.astype(np.float64) - inner[:, 6:7]) ** 2)))
    assert before > 20.0
    # Of waves of 10 pixels and more, cubic convolution and rounding leave little.
    assert residual(registered) < 1.0


def test_the_gain_is_what_the_set_tells_unless_it_is_given() -> None:
    stacks = recordings(gain=1.5)
    told, given, thin = register(stacks), register(stacks, gain=1.5), register(stacks, gain=1.0)
    assert np.array_equal(told.images, given.images)
    assert residual(told) < 1.0 < 10.0 < residual(thin)
    assert [each.metadata["breathing"] for each in (told, given, thin)] == [0.0, 0.0, 0.5]


def test_views_get_the_same_map() -> None:
    both = recordings()
    alone = [StackSet.from_stacks(replace(each, images=each.images[:, v : v + 1]) for each in both) for v in (0, 1)]
    registered = register(both).images
    for v in (0, 1):
        assert np.array_equal(registered[:, :, v : v + 1], register(alone[v]).images)


def test_a_whole_frame_is_registered_to_its_nearest_slice_without_a_margin() -> None:
    stack = recording(region=(0.0, 0.0), margin=0, reference=12)
    registration = Registration(StackSet.from_stacks([stack]))
    assert (registration.at, registration.crop) == (12, 0)
    images = np.asarray(registration.stack(0).images, dtype=np.float64)
    assert np.array_equal(images[12], stack.images[12])
    assert np.sqrt(np.mean((images - images[12]) ** 2)) < 1.0
    assert Registration(recordings()).at == 6


def test_values_stay_within_the_levels() -> None:
    # Cubic convolution overshoots at an edge.
    stack = recording()
    images = np.where(stack.images > 450, LEVELS.white, 0).astype(np.uint16)
    registered = register(StackSet.from_stacks([replace(stack, images=images)]))
    assert registered.images.max() == LEVELS.white
    brighter = np.where(stack.images > 450, 60000, 0).astype(np.uint16)
    registered = register(StackSet.from_stacks([replace(stack, images=brighter)]))
    assert (registered.images.min(), registered.images.max()) == (0, 60000)


def test_the_noise_that_is_stored_is_what_interpolation_leaves() -> None:
    shot = 0.02
    rng = np.random.default_rng(5)
    flat = 500.0 + shot * 959 * rng.standard_normal((13, 2, SIDE, SIDE))
    stack = replace(recording(), images=np.rint(flat).astype(np.uint16), noise=(0.0, shot**2))
    registered = register(StackSet.from_stacks([stack]))[0]
    assert registered.noise is not None
    found = float(registered.normalized().var(axis=(1, 2, 3)).mean())
    assert registered.noise[1] == pytest.approx(found, rel=0.05)
    record: Any = registered.metadata["registration"]
    assert record["noise_left"][0] < 0.7 < record["noise_left"][1] == 1.0
    unknown = register(StackSet.from_stacks([replace(recording(), noise=None)]))[0]
    assert unknown.noise is None


# ---------------------------------------------------------------------- search
@pytest.mark.parametrize("zoom", [1.02, 0.985, 1.0])
@pytest.mark.parametrize("region", [(0.0, 0.0), (0.5, -0.4)])
def test_a_zoom_is_found_within_one_step_of_the_grid(zoom: float, region: tuple[float, float]) -> None:
    picture, centre = Picture(3), principal_point(region)
    images = np.stack([picture.seen(1.0, centre), 0.5 * picture.seen(zoom, centre) + 0.2])
    found = search_zooms(images, centre, np.zeros(2), 0)
    assert np.exp(found[1]) == pytest.approx(zoom, abs=STEP)
    # A start that is wrong by less than the grid's reach changes nothing.
    again = search_zooms(images, centre, np.array([0.0, 0.006]), 0)
    assert again[1] == pytest.approx(found[1], abs=STEP / 5)


def test_zooms_compose() -> None:
    picture, centre = Picture(4), principal_point((0.3, 0.2))
    a, b, c = (picture.seen(zoom, centre) for zoom in (0.99, 1.0, 1.018))
    ab, bc, ac = (search_zooms(np.stack(pair), centre, np.zeros(2), 0)[1] for pair in ((a, b), (b, c), (a, c)))
    assert np.exp(ab) * np.exp(bc) == pytest.approx(np.exp(ac), abs=STEP)
    assert np.exp(ac) == pytest.approx(1.018 / 0.99, abs=STEP)


def test_defocus_is_bridged_from_neighbour_to_neighbour() -> None:
    stack, centre = recording(gain=1.3, blur=1.2, noise=0.002), principal_point((0.5, -0.4))
    growth = np.log(magnification(DIOPTERS) / magnification(DIOPTERS)[6])
    green = stack.images.sum(axis=1, dtype=np.float32)
    zooms = search_zooms(green, centre, growth, 6)
    assert np.exp(zooms) == pytest.approx(np.exp(1.3 * growth), abs=2 * STEP)
    found = fit_gain(zooms, growth)
    assert found.gain == pytest.approx(1.3, abs=0.02)
    assert found.slices == 12


def test_a_slice_that_is_off_changes_the_gain_little() -> None:
    growth = np.linspace(-0.02, 0.02, 21)
    zooms = 1.2 * growth + 1e-5 * np.random.default_rng(0).standard_normal(21)
    zooms[3] += 0.02
    zooms[15] = np.nan
    found = fit_gain(zooms, growth)
    assert found.gain == pytest.approx(1.2, abs=0.01)
    assert found.slices == 19
    assert np.isnan(fit_gain(np.full(21, np.nan), growth).gain)


def test_a_search_finds_a_gain_that_nobody_told() -> None:
    stack = recording(gain=1.3)
    untold = replace(stack, metadata={**stack.metadata, "breathing": 1.0})
    registered = register(StackSet.from_stacks([untold]), "search")
    record: Any = registered[0].metadata["registration"]
    assert record["gain"] == pytest.approx(1.3, abs=0.02)
    assert "fallback" not in record
    assert residual(registered) < 3.0


def test_without_hold_a_search_takes_the_calibrated_zoom_and_says_so() -> None:
    rng = np.random.default_rng(1)
    images = (500 + 5 * rng.standard_normal((13, 2, SIDE, SIDE))).astype(np.uint16)
    stack = replace(recording(), images=images)
    stacks = StackSet.from_stacks([stack])
    registered, calibrated = register(stacks, "search"), register(stacks)
    assert np.array_equal(registered.images, calibrated.images)
    record: Any = registered[0].metadata["registration"]
    assert record["fallback"] == "calibrated: the pixels do not determine the zoom"
    assert "fallback" not in calibrated[0].metadata["registration"]  # type: ignore[operator]  # plain JSON


def test_a_zoom_that_looks_beyond_the_patch_is_not_taken() -> None:
    stack = recording(gain=1.5, region=(0.7, 0.5))
    untold = replace(stack, metadata={**stack.metadata, "breathing": 1.0})
    margin = 6
    stacks = StackSet.from_stacks([untold])
    with pytest.raises(AfsimError, match="beyond"):
        register(stacks, gain=1.5, margin=margin)
    record: Any = register(stacks, "search", margin=margin)[0].metadata["registration"]
    assert record["fallback"] == "calibrated: the zoom that was found looks beyond the patch"
    assert record["gain"] == 1.0


# ---------------------------------------------------------------------- rendered stacks
@pytest.fixture(scope="module")
def rendered() -> StackSet:
    """Two patches of the benchmark's mixture, of which registration gets hold."""
    config = replace(make_set("planes"), seed=11, count=2, size=64, margin=40)
    return StackSet.from_stacks(render_in_order(config), set_metadata(config))


def test_rendered_stacks_breathe_no_more(rendered: StackSet) -> None:
    patches = rendered.images[..., 40:-40, 40:-40]
    for i, stack in enumerate(rendered):
        k = stack.best_index
        assert k is not None
        near = [j for j in (k - 8, k + 8) if 0 <= j < 49]
        for method in ("calibrated", "search"):
            green = register(rendered[i : i + 1], method)[0].green()
            recorded = replace(stack, images=patches[i]).green()
            moved = [np.hypot(*fit_zoom(recorded[k], recorded[j])[1:3]) for j in near]
            left = [np.hypot(*fit_zoom(green[k], green[j])[1:3]) for j in near]
            assert max(moved) > 1.0
            assert max(left) < 0.5


# ---------------------------------------------------------------------- sets, errors
@pytest.mark.parametrize("method", ["calibrated", "search"])
def test_a_stack_is_registered_alike_alone_and_among_others(method: Any) -> None:
    stacks = recordings(4)
    registration = Registration(stacks, method)
    together, again = list(registration.in_order(workers=1)), list(registration.in_order(workers=3))
    for i in range(4):
        alone = register(stacks[i : i + 1], method, reference=6)[0]
        for each in (together[i], again[i]):
            assert np.array_equal(each.images, alone.images)
            assert (each.metadata, each.noise, each.name) == (alone.metadata, alone.noise, alone.name)


def test_the_set_tells_what_was_done() -> None:
    stacks = recordings()
    registered = register(stacks, "search")
    record: Any = registered.metadata["registration"]
    assert (record["method"], record["reference"], record["margin"]) == ("search", 6, MARGIN)
    assert record["source_sha256"] == stacks.digest
    assert registered.metadata["breathing"] == 0.0
    assert [stack.metadata["margin"] for stack in registered] == [0, 0]
    assert np.array_equal(registered.best_index, stacks.best_index)
    # A registered set has nothing left to register.
    twice = register(registered, reference=6)
    assert np.array_equal(twice.images, registered.images)


def test_what_lies_beyond_the_patch_is_not_made_up() -> None:
    stacks = recordings(4)
    with pytest.raises(
        AfsimError, match=r"looks [\d.]+ pixels beyond the patch of stack '3'.*margin of at least"
    ) as told:
        register(stacks, margin=0)
    needed = int(str(told.value).split("margin of at least ")[1].split(",")[0])
    assert register(stacks, margin=needed).geometry.height == SIDE - 2 * needed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guess"}, "unknown registration 'guess'; expected one of: calibrated, search"),
        ({"reference": 13}, "reference must be at least 0 and at most 12, got 13"),
        ({"reference": 1.5}, "reference must be a whole number"),
        ({"gain": 1e9}, "gain must be at least 0 and at most 10"),
        ({"gain": -1.0}, "gain must be at least 0"),
        ({"gain": float("nan")}, "gain must be finite"),
        ({"margin": 48}, "margin must be a whole number"),
        ({"margin": -1}, "margin must be a whole number"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        register(recordings(), **options)


def test_a_set_without_stacks_and_a_lens_without_focal_length_are_refused() -> None:
    with pytest.raises(AfsimError, match="there is no stack to register"):
        register(recordings()[:0])
    with pytest.raises(AfsimError, match="focal_length_m must be above 0"):
        Registration(recordings(), focal_length_m=0.0)


def test_each_stack_tells_what_is_left_of_its_breathing() -> None:
    stacks = StackSet.from_stacks(recording(i, gain=gain) for i, gain in enumerate((1.0, 1.5)))
    assert [stack.metadata["breathing"] for stack in register(stacks)] == [0.0, 0.5]
    assert [stack.metadata["breathing"] for stack in register(stacks, gain=0.5)] == [0.5, 1.0]
    found = register(stacks, "search")
    assert [stack.metadata["breathing"] for stack in found] == [0.0, 0.0]


def test_without_focus_distances_there_is_nothing_to_register_by() -> None:
    with pytest.raises(WithheldError, match="focus distances are unknown"):
        register(StackSet.from_stacks([make_stack(distances=False)]))
    with pytest.raises(AfsimError, match="workers must be at least 1"):
        list(Registration(recordings()).in_order(workers=0))


def test_zoomfit_sees_less_breathing(rendered: StackSet) -> None:
    gains = [breathing(stack).gain for stack in register(rendered)]
    before = [breathing(replace(s, images=s.images[..., 40:-40, 40:-40])).gain for s in rendered]
    held = [(b, a) for b, a in zip(before, gains, strict=True) if np.isfinite(b + a)]
    assert held
    assert all(b > 0.9 and abs(a) < 0.25 for b, a in held)
