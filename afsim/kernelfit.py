"""Fit the models of a dual-pixel pupil to measured blur kernels: how wide, how split, how far from the model."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, unknown
from afsim.optics import PIXEL3, Optics
from afsim.pupil import Pupil, alpha_of, left_fraction, make_pupil
from afsim.transfer import defocus_transfer, diffraction_transfer, sampling_transfer

FloatArray = npt.NDArray[np.float64]

# Cells a side of a pupil; a blur of 30 px has about one a pixel, and what is finer the pixels do not show.
_CELLS: Final = 32
# A share of light that is off by 0.01 weighs as much as a residual of a tenth of a kernel's norm.
_SHARE_WEIGHT: Final = 10.0
_MOST_EVALUATIONS: Final = 60
# Relative step of the numerical derivatives: edges of the pupil move by more than their softness.
_STEP: Final = 3e-3


class _Parameter(NamedTuple):
    start: float
    low: float
    high: float
    scale: float


# Besides diameter, offset and smoothing, which every model has.
_PARAMETERS: Final = {
    "width": _Parameter(0.4, 0.02, 3.0, 0.3),
    "crosstalk": _Parameter(0.02, 0.0, 0.45, 0.1),
    "split": _Parameter(0.0, -2.5, 2.5, 0.3),
    "cats_eye_x": _Parameter(0.03, -1.2, 1.2, 0.3),
    "cats_eye_y": _Parameter(0.02, -1.2, 1.2, 0.3),
    "tilt_x": _Parameter(0.0, -3.0, 3.0, 0.3),
    "tilt_y": _Parameter(0.0, -3.0, 3.0, 0.3),
}
# A split far to one side has two explanations (a split, or a view that is nearly whole): both are tried.
_SPLIT_STARTS: Final = (-0.6, 0.0, 0.6)


class KernelModel(NamedTuple):
    """A pupil model of :func:`afsim.pupil.make_pupil`, and which of its parameters are fitted."""

    pupil: str
    free: tuple[str, ...] = ()


_FIELD: Final = ("width", "crosstalk", "split", "cats_eye_x", "cats_eye_y")
KERNEL_MODELS: Final = {
    "gaussian": KernelModel("gaussian"),
    "disc": KernelModel("disc"),
    "half_disc": KernelModel("half_disc"),
    "half_disc_crosstalk": KernelModel("half_disc", ("crosstalk",)),
    "linear_ramp": KernelModel("linear_ramp"),
    "translating_disc": KernelModel("translating_disc"),
    "butterworth": KernelModel("butterworth"),
    "soft_split": KernelModel("soft_split", ("width",)),
    "soft_split_field": KernelModel("soft_split", _FIELD),
    "soft_split_tilt": KernelModel("soft_split", (*_FIELD, "tilt_x", "tilt_y")),
}
"""What :func:`fit_kernels` knows.

Models as they are in the middle of the field; ``soft_split_field`` with the cat's eye and the shifted split that
:func:`afsim.pupil.make_pupil` has over the field; ``soft_split_tilt``, whose aperture besides is brighter towards
one side (coma), as ``exp(tilt . u)``.
"""


@dataclass(frozen=True)
class KernelFit:
    """A model fitted to the kernels of both views.

    Attributes
    ----------
    diameter_px : float
        Blur diameter c, positive: a kernel with the opposite sign is fitted by swapping the views.
    offset_px : (float, float)
        Where the blur's centre lies from the middle of the kernels, x and y: that of their registration.
    sigma_px : float
        Standard deviation of a Gaussian blur besides diffraction and pixel.
    parameters : dict
        Of the model: ``width``, ``crosstalk``, ``split`` (position of the split), ``cats_eye_x`` and ``_y`` (shift
        of the barrel's disc) in pupil radii; ``tilt_x`` and ``_y`` (change of the log of the light per radius).
    residual : (float, float)
        Norm of kernel minus model over norm of kernel, left and right.
    pupil : Pupil
        The fitted pupil.
    kernels : (2, K, K) float64
        The fitted kernels, each of sum 1.
    """

    model: str
    diameter_px: float
    offset_px: tuple[float, float]
    sigma_px: float
    parameters: dict[str, float]
    residual: tuple[float, float]
    pupil: Pupil
    kernels: FloatArray

    @property
    def alpha(self) -> float:
        """Distance of the views' centroids over the blur diameter."""
        return alpha_of(self.pupil)

    @property
    def left_fraction(self) -> float:
        """The left view's share of the light of both."""
        return left_fraction(self.pupil)


def render_kernels(
    pupil: Pupil,
    diameter_px: float,
    size: int,
    *,
    offset_px: tuple[float, float] = (0.0, 0.0),
    sigma_px: float = 0.0,
    optics: Optics = PIXEL3,
) -> FloatArray:
    """Return the blur kernels (2, size, size) of both views, each of sum 1, with diffraction and square pixels.

    Parameters
    ----------
    pupil : Pupil
        What each view sees through.
    diameter_px : float
        Signed blur diameter c. Below about 3 px a kernel of whole pixels is no longer faithful.
    size : int
        Side K in pixels, odd; the blur should fit well inside, else it wraps around.
    offset_px : (float, float)
        Where the blur's centre lies from the middle pixel, x and y.
    sigma_px : float
        Standard deviation of an additional Gaussian blur.
    optics : Optics
        The camera, for its diffraction.
    """
    if size < 3 or size % 2 == 0:
        raise AfsimError(f"kernel size must be odd and at least 3, got {size}")
    n = size + 3
    fy, fx = np.fft.fftfreq(n), np.fft.rfftfreq(n)
    transfer = defocus_transfer(pupil, diameter_px, fy, fx)
    transfer = transfer * diffraction_transfer(fy, fx, optics=optics)
    transfer *= sampling_transfer(fy, sigma_px=sigma_px)[:, None] * sampling_transfer(fx, sigma_px=sigma_px)
    middle = size // 2
    shift = fy[:, None] * (offset_px[1] + middle) + fx * (offset_px[0] + middle)
    kernels = np.fft.irfft2(transfer * np.exp(-2j * np.pi * shift), s=(n, n))[:, :size, :size]
    return np.asarray(kernels / kernels.sum(axis=(1, 2), keepdims=True))


def fit_kernels(
    kernels: npt.ArrayLike, model: str = "soft_split_field", *, share: float | None = None
) -> KernelFit:
    """Fit a model to the measured kernels of both views at one place, by least squares over both.

    Parameters
    ----------
    kernels : (2, K, K) array_like
        Left and right, of any sum, K odd. The left one's light lies to the left: for a blur of the other sign, or
        a camera with ``dp_sign`` -1, give the views in the other order.
    model : str
        One of :data:`KERNEL_MODELS`.
    share : float, optional
        The left view's share of the light of both, where it is known (from pictures of a white sheet): kernels of
        sum 1 do not tell it, and without it a split can be mistaken for a tilt.

    Raises
    ------
    AfsimError
        For a model that there is not, or kernels that are none.
    """
    from scipy.optimize import least_squares  # here, because it takes long to load

    if model not in KERNEL_MODELS:
        raise unknown("kernel model", model, KERNEL_MODELS)
    measured = _normalized(kernels)
    kind, size = KERNEL_MODELS[model], measured.shape[-1]
    norm = np.sqrt((measured**2).sum(axis=(1, 2), keepdims=True))

    def misfit(values: FloatArray) -> FloatArray:
        pupil = _pupil(kind, values[4:])
        rendered = _render(pupil, values, size)
        off = () if share is None else (_SHARE_WEIGHT * (left_fraction(pupil) - share),)
        return np.append(((rendered - measured) / norm).ravel(), off)

    table = [*_common(measured), *(_PARAMETERS[name] for name in kind.free)]
    starts, low, high, scale = (np.array(column) for column in zip(*table, strict=True))
    best = None
    for split in _SPLIT_STARTS if "split" in kind.free else (0.0,):
        start = starts.copy()
        if "split" in kind.free:
            start[4 + kind.free.index("split")] = split
        found = least_squares(
            misfit,
            start,
            bounds=(low, high),
            x_scale=scale,
            diff_step=np.full(len(start), _STEP),
            max_nfev=_MOST_EVALUATIONS,
        )
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    return _result(model, kind, np.asarray(best.x), measured, norm)


def _normalized(kernels: npt.ArrayLike) -> FloatArray:
    measured = np.asarray(kernels, dtype=np.float64)
    if measured.ndim != 3 or measured.shape[0] != 2 or measured.shape[1] != measured.shape[2]:
        raise AfsimError(f"kernels must be (2, K, K), left and right, got shape {measured.shape}")
    sums = measured.sum(axis=(1, 2))
    if not (np.isfinite(sums).all() and (sums > 0).all()):
        raise AfsimError(f"kernels must have finite, positive sums, got {sums.tolist()}")
    return np.asarray(measured / sums[:, None, None])


def _common(measured: FloatArray) -> list[_Parameter]:
    """Return where diameter, offset and smoothing start and end: by the moments of the mean kernel."""
    size = measured.shape[-1]
    line = np.arange(size) - (size - 1) / 2.0
    mean = measured.mean(axis=0).clip(0.0)
    rows, columns = mean.sum(axis=1) / mean.sum(), mean.sum(axis=0) / mean.sum()
    y, x = float(rows @ line), float(columns @ line)
    # Across the split, the variance of an even disc is c^2 / 16.
    diameter = 4.0 * float(np.sqrt(max(rows @ (line - y) ** 2, 0.1)))
    reach = diameter / 2.0
    return [
        _Parameter(diameter, 0.4 * diameter, 2.0 * diameter, 0.2 * diameter),
        _Parameter(x, x - reach, x + reach, 1.0),
        _Parameter(y, y - reach, y + reach, 1.0),
        _Parameter(max(0.05 * diameter, 0.1), 1e-3, 0.3 * diameter + 0.2, 0.5),
    ]


def _pupil(kind: KernelModel, values: FloatArray) -> Pupil:
    given = dict(zip(kind.free, values.tolist(), strict=True))
    # The pupil's own law over the field, made to give this shift of the barrel and of the split.
    x, y = given.get("cats_eye_x", 0.0), given.get("cats_eye_y", 0.0)
    x = x if abs(x) > 1e-6 else 1e-6
    options = {name: given[name] for name in ("width", "crosstalk") if name in given}
    pupil = make_pupil(
        kind.pupil,
        field=(x, y),
        vignetting=1.0,
        split_shift=given.get("split", 0.0) / x,
        cells=_CELLS,
        **options,
    )
    if "tilt_x" not in given:
        return pupil
    u = pupil.centres
    light = np.exp(given["tilt_y"] * u[:, None] + given["tilt_x"] * u)
    return Pupil(pupil.left * light, pupil.right * light, pupil.support)


def _render(pupil: Pupil, values: FloatArray, size: int) -> FloatArray:
    diameter, x, y, sigma = values[:4].tolist()
    return render_kernels(pupil, diameter, size, offset_px=(x, y), sigma_px=sigma)


def _result(model: str, kind: KernelModel, values: FloatArray, measured: FloatArray, norm: FloatArray) -> KernelFit:
    pupil = _pupil(kind, values[4:])
    rendered = _render(pupil, values, measured.shape[-1])
    left, right = np.sqrt((((rendered - measured) / norm) ** 2).sum(axis=(1, 2))).tolist()
    diameter, x, y, sigma = values[:4].tolist()
    parameters = dict(zip(kind.free, values[4:].tolist(), strict=True))
    return KernelFit(model, diameter, (x, y), sigma, parameters, (left, right), pupil, rendered)
