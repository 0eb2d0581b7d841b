"""How likely a curve is that was seen in part: against multivariate t and normal densities, and as a density."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_t

from afsim.belief import normalised
from afsim.calibration import Provenance, shipped_calibration
from afsim.contrastlikelihood import CurveLikelihood, log_contrast
from afsim.errors import AfsimError, StoreError
from afsim.factorfit import fit_curves
from afsim.fit_bayesian import FitBayesianConfig, aligned, fit, measure_contrast, run
from afsim.framing import Framing
from afsim.measures import get_measure
from afsim.optics import PIXEL3_FOCAL_LENGTH_M, lta49_diopters
from afsim.options import command_line
from afsim.positionlikelihood import FocusLikelihood, shipped_likelihood
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from tests.conftest import LEVELS, make_stack

STEPS = np.arange(-12, 13)


def likelihood(parts: int = 1, factors: int = 2, dof: float = 4.0, overlap: float = 0.0) -> CurveLikelihood:
    """Make a likelihood of bell-shaped curves with unequal parts, factors and noises."""
    bell = np.exp(-(STEPS**2) / 20.0)
    mean = np.stack([(2.0 + j) * bell for j in range(parts)])
    waves = np.stack([np.ones(STEPS.size), bell, STEPS / 10.0])[:factors]
    shape = (parts, STEPS.size)
    variance = np.broadcast_to(0.02 + 0.001 * np.abs(STEPS), shape).copy()
    weights = np.arange(1.0, parts + 1.0)
    return CurveLikelihood(
        weights / weights.sum(), mean, np.repeat(0.5 * waves[None], parts, axis=0), variance, dof, overlap
    )


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Draw curves of the likelihood's first part, nearly normal."""
    rng, model = np.random.default_rng(seed), likelihood(dof=1e6)
    scores = rng.standard_normal((count, 2))
    noise = rng.standard_normal((count, STEPS.size)) * np.sqrt(model.variance[0])
    return np.asarray(model.mean[0] + scores @ model.factors[0] + noise)


@pytest.mark.parametrize("parts", [1, 3])
def test_it_is_a_mixture_of_multivariate_t_densities(parts: int) -> None:
    model, places, target = likelihood(parts), np.array([3.0, 8.0, 9.0, 15.0]), 7.0
    values = np.array([0.4, 1.9, 1.4, 0.1])
    at = (places - target).astype(int) + 12
    density = 0.0
    for j in range(parts):
        factors = model.factors[j][:, at]
        shape = factors.T @ factors + np.diag(model.variance[j, at])
        density += model.weights[j] * multivariate_t(model.mean[j, at], shape, df=int(model.dof)).pdf(values)
    found = model.log_of(values[None], places, np.array([target]))
    np.testing.assert_allclose(found, np.log(density), rtol=1e-10)


def test_slices_that_were_not_seen_do_not_count_and_lanes_do_not_mix() -> None:
    model, places = likelihood(2), np.arange(20.0)
    values = np.random.default_rng(0).normal(1.0, 0.5, (200, 20))
    values[np.random.default_rng(1).random(values.shape) < 0.7] = np.nan
    together = model.log_of(values, places, places)
    for i in (0, 7, 199):
        seen = ~np.isnan(values[i])
        np.testing.assert_array_equal(together[i], model.log_of(values[i : i + 1], places, places)[0])
        np.testing.assert_array_equal(together[i], model.log_of(values[i : i + 1, seen], places[seen], places)[0])
    np.testing.assert_allclose(model.log_of(np.full((1, 20), np.nan), places, places), 0.0, atol=1e-12)


def test_slices_that_share_their_errors_tell_less_than_slices_that_do_not() -> None:
    """What the slices of a patch share is no evidence twice."""
    shared, alone = likelihood(dof=1e6), likelihood(dof=1e6)
    total = alone.variance + (alone.factors[0] ** 2).sum(axis=0)
    alone = CurveLikelihood(alone.weights, alone.mean, 1e-9 * alone.factors, total, alone.dof)
    values, places = np.full((1, 4), 0.6), np.array([2.0, 3.0, 4.0, 5.0])
    spreads = [np.ptp(model.log_of(values, places, np.arange(8.0))) for model in (shared, alone)]
    assert spreads[0] < 0.8 * spreads[1]


def test_the_true_focus_is_found_and_is_within_one_as_often_as_believed() -> None:
    """Curves that are drawn from the model: the belief's probabilities are frequencies."""
    curves, places = drawn(600), np.arange(13.0)
    rng = np.random.default_rng(2)
    focus = rng.integers(0, 13, len(curves))
    values = curves[np.arange(len(curves))[:, None], np.arange(13) - focus[:, None] + 12]
    values[rng.random(values.shape) < 0.6] = np.nan
    belief = np.exp(normalised(likelihood(dof=1e6).log_of(values, places, places)))
    best = belief.argmax(axis=1)
    near = np.abs(np.arange(13) - best[:, None]) <= 1
    believed, true = (belief * near).sum(axis=1), np.abs(best - focus) <= 1
    assert abs(believed.mean() - true.mean()) < 0.04
    assert 0.5 < true.mean() < 0.999


def test_overlap_noise_and_shake_only_ever_weaken_the_evidence() -> None:
    values, places, goals = np.array([[0.2, 1.9, 1.0]]), np.array([1.0, 6.0, 9.0]), np.arange(13.0)

    def entropy(model: CurveLikelihood, **options: object) -> float:
        p = np.exp(normalised(model.log_of(values, places, goals, **options)))  # type: ignore[arg-type]
        return float(-(p * np.log(p)).sum())

    base = entropy(likelihood())
    assert entropy(likelihood(overlap=0.5)) > base
    assert entropy(likelihood(), noise=10.0) > base
    assert entropy(likelihood(), shake=(2.0, 0.0)) > base
    assert entropy(likelihood(), shake=(0.0, 0.05)) > base
    # s values weigh as s / (1 + overlap (s - 1))
    plain, less = (likelihood(overlap=o).log_of(values, places, goals) for o in (0.0, 0.5))
    np.testing.assert_allclose(less, plain / 2.0, rtol=1e-12)


def test_a_fit_finds_the_curves_it_was_drawn_from() -> None:
    curves = drawn(400, seed=3)
    curves[np.random.default_rng(4).random(curves.shape) < 0.3] = np.nan
    fitted = fit_curves(curves, parts=1, factors=2, dof=50.0, share=0.6, iterations=25)
    model = likelihood()
    np.testing.assert_allclose(fitted.mean[0], model.mean[0], atol=0.15)
    covariance, true = (m.factors[0].T @ m.factors[0] for m in (fitted, model))
    # At both ends of the curves that the factors tell apart.
    np.testing.assert_allclose(covariance, true, atol=0.2)
    again = fit_curves(curves, parts=1, factors=2, dof=50.0, share=0.6, iterations=25)
    np.testing.assert_array_equal(again.mean, fitted.mean)


def test_aligned_curves_have_the_focus_in_the_middle_and_nothing_beyond_the_recording() -> None:
    values = np.array([[1.0, 5.0, 2.0, 0.0]])
    curve = aligned(values, np.array([0.0, 1.0, 2.0, 3.0]), np.array([1]))[0]
    np.testing.assert_array_equal(curve, [np.nan, np.nan, 1.0, 5.0, 2.0, 0.0, np.nan])


def test_no_contrast_has_no_logarithm() -> None:
    logs = log_contrast([np.e, 0.0, -1.0, np.nan, np.inf])
    np.testing.assert_allclose(logs, [1.0, np.nan, np.nan, np.nan, np.nan])


def test_what_was_fitted_is_kept(tmp_path: Path) -> None:
    shipped = shipped_likelihood()
    shipped.save(tmp_path / "one.json")
    again = FocusLikelihood.load(tmp_path / "one.json")
    np.testing.assert_allclose(again.contrast.mean, shipped.contrast.mean)
    np.testing.assert_allclose(again.prior, shipped.prior)
    assert again.provenance == shipped.provenance
    assert shipped.provenance.set == "bench-train"
    (tmp_path / "two.json").write_text("{}")
    with pytest.raises(StoreError, match="is no focus likelihood"):
        FocusLikelihood.load(tmp_path / "two.json")
    with pytest.raises(StoreError, match="there is no such file"):
        FocusLikelihood.load(tmp_path / "three.json")
    text = (tmp_path / "one.json").read_text().replace('"overlap"', '"underlap"')
    (tmp_path / "one.json").write_text(text)
    with pytest.raises(StoreError, match="overlap' is missing"):
        FocusLikelihood.load(tmp_path / "one.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "has version 0; this afsim reads versions 1 to 1"),
        ({"version": True}, "has version True"),
        ({"version": "1"}, "has version '1'"),
        ({"measure": "modified_dct"}, "which modified_dct has not: its scores may be negative"),
        ({"reach": 5}, "no calibration of zncc with a reach of 5 pixels is shipped"),
        ({"step_diopters": 0.0}, "step_diopters must be above 0"),
        ({"diopters": [1.0], "prior": [1.0]}, "diopters must be of at least 2 slices, got 1"),
        ({"confidence_edges": [0.9, 0.7, 0.97]}, "confidence_edges must be rising"),
        ({"confidence_noise": [1.0, 1.0, 0.0, 1.0]}, "confidence_noise must be above 0, got 0.0"),
        ({"confidence_noise": [1.0]}, r"confidence_edges must have shape \(0,\)"),
        ({"provenance": {"set": "one"}}, "is damaged: .*missing"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    shipped_likelihood().save(tmp_path / "one.json")
    record = json.loads((tmp_path / "one.json").read_text())
    (tmp_path / "one.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(StoreError, match=message):
        FocusLikelihood.load(tmp_path / "one.json")


def test_a_file_whose_curves_do_not_fit_is_refused(tmp_path: Path) -> None:
    shipped_likelihood().save(tmp_path / "one.json")
    record = json.loads((tmp_path / "one.json").read_text())
    falling = {"diopters": record["diopters"][::-1]}
    short = {"diopters": record["diopters"][:-1], "prior": record["prior"][:-1]}
    doubled = {"contrast": {**record["contrast"], "weights": [2.0 * w for w in record["contrast"]["weights"]]}}
    for change, message in (
        (falling, "diopters must be rising"),
        (short, "contrast curves must have 95 steps, twice the slices less 1, got 97"),
        (doubled, "weights must sum to 1"),
    ):
        (tmp_path / "two.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(StoreError, match=message):
            FocusLikelihood.load(tmp_path / "two.json")


def test_contrast_is_measured_stack_by_stack_however_many_there_are() -> None:
    stacks = StackSet.from_stacks([make_stack(float(i % 5), n=5, views=1, name=str(i)) for i in range(18)])
    chosen = np.arange(17, -1, -1)
    found = measure_contrast(stacks, chosen, "laplacian_variance")
    crop = Framing(stacks, PIXEL3_FOCAL_LENGTH_M).crop
    for row, i in zip(found, chosen, strict=True):
        green = stacks[int(i)].normalized()[..., crop : -crop or None, crop : -crop or None].mean(axis=1)
        np.testing.assert_allclose(row, get_measure("laplacian_variance")(green.astype(np.float32)), rtol=1e-5)


def test_a_fit_on_features_of_one_view_knows_contrast_alone() -> None:
    n, rng = 12, np.random.default_rng(0)
    truth = rng.uniform(0.0, n - 1.0, 60)
    contrast = np.exp(-((np.arange(n) - truth[:, None]) ** 2) / 15.0 + 0.05 * rng.standard_normal((60, n)))
    config = FitBayesianConfig(Path("set"), Path("file.json"), parts=1)
    source = Provenance("set", "", 60, 60 * n, command_line("fit bayesian", config))
    fitted = fit(contrast, None, None, None, truth, lta49_diopters()[:n], config, source)
    assert fitted.disparity is None
    assert fitted.provenance.command == "afsim fit bayesian --stacks set --out file.json --parts 1"
    places = fitted.steps_of(n, lta49_diopters()[:n])
    belief = np.exp(normalised(fitted.contrast.log_of(np.log(contrast), places, places)))
    assert (np.abs(belief.argmax(axis=1) - truth) <= 1.0).mean() > 0.95
    np.testing.assert_allclose(fitted.prior_at(places).sum(), 1.0)


def test_a_fit_on_dual_pixel_stacks_knows_what_a_step_of_defocus_shifts(tmp_path: Path) -> None:
    """Views that are shifted as the shipped calibration says, and texture that fades with defocus."""
    n, size, rng = 12, 48, np.random.default_rng(0)
    diopters = lta49_diopters()[:n]
    slope, offset = (float(each[0]) for each in shipped_calibration("zncc", 16).slope_offset(np.zeros((1, 2))))
    stacks = []
    for i in range(14):
        truth = int(rng.integers(1, n - 1))
        texture = rng.uniform(-1.0, 1.0, (size, size))
        shifts = np.rint(slope * (diopters - diopters[truth]) + offset).astype(int)
        fade = 1.0 / (1.0 + (np.arange(n) - truth) ** 2 / 4.0)
        views = np.stack([np.stack([texture, np.roll(texture, shift, axis=1)]) for shift in shifts])
        raw = np.rint(64 + 959 * (0.4 + 0.3 * fade[:, None, None, None] * views)).astype(np.uint16)
        stacks.append(FocalStack(raw, LEVELS, diopters=diopters, best_index=truth, name=str(i)))
    config = FitBayesianConfig(Path("set"), tmp_path / "fitted.json", parts=1, quiet=True)
    fitted = run(config, stacks=StackSet.from_stacks(stacks))
    assert fitted.disparity is not None
    inner = fitted.disparity.mean[0, n - 1 - 4 : n + 4]
    # Whole pixels are some four steps apart.
    np.testing.assert_allclose((inner[-1] - inner[0]) / 8.0, 1.0, atol=0.3)
    assert abs(inner[4]) < 2.0
    assert fitted.contrast.mean[0, n - 1] > fitted.contrast.mean[0, n - 1 + 4]
    assert (fitted.confidence_noise >= 1.0).all()
    with pytest.raises(AfsimError, match="no known distances, or no labels"):
        run(config, stacks=StackSet.from_stacks([make_stack(labelled=False)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dof": 0.0}, "dof must be above 0"),
        ({"overlap": -0.1}, "overlap must be at least 0"),
        ({"weights": np.array([0.5])}, "weights must be above 0 and sum to 1"),
        ({"variance": np.zeros((1, 25))}, "variance must be above 0"),
        ({"mean": np.zeros((1, 24))}, r"mean must have shape \(1, 25\)"),
        ({"factors": np.zeros((1, 2, 24))}, "with an odd D"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    model = likelihood()
    names = ("weights", "mean", "factors", "variance", "dof", "overlap")
    with pytest.raises(AfsimError, match=message):
        CurveLikelihood(**{**{name: getattr(model, name) for name in names}, **change})


def test_values_and_curves_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(AfsimError, match=r"values must be \(N, S\)"):
        likelihood().log_of([1.0], [0.0], [0.0])
    with pytest.raises(AfsimError, match=r"curves must be \(N, D\)"):
        fit_curves(np.zeros((3, 25)))
    with pytest.raises(AfsimError, match="none but NaN"):
        fit_curves(np.full((30, 25), np.nan))
