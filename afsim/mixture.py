"""Which stacks are rendered how often: every number of a mixture of scenes, and the draws that follow it.

The mixture "v6" comes near the row order and the error levels of the contrast rows (I*) of the paper's Table 1.
Most of its numbers are those of a study of rendered mixtures ("v5" there). Textures, contrast, light, noise and
edges differ, because with the study's the Laplacian and wavelet rows erred too little: they were chosen on the
contrast rows of scenes with the photographs of bench-val and bench-train alone. The other mixtures change what
their name says. :mod:`afsim.draws` draws from them.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError

Range = tuple[float, float]
Weights = tuple[tuple[str, float], ...]

PATCH_PX: Final = 128  # the patch that lengths and slants of a mixture are for

# Numbers are at least 0, but for those that may be negative, those whose logarithm is taken or that divide, and
# those that are probabilities (or, as the flicker's, a correlation).
_ANY_SIGN: Final = ("depth_range", "reach_index", "contrast_log_mean", "level_log_mean", "shot_log_mean")
_ABOVE_ZERO: Final = (
    *("slant_index", "photograph_scale", "highlight_amplitude", "shading_px"),
    *("depth_shape", "depth_scale", "split_width", "highest", "label_dof"),
)
_AT_MOST_ONE: Final = (
    *("single", "single_slanted", "two", "several", "slanted", "behind", "textureless", "highlighted", "shaded"),
    *("edged", "flicker_share", "flicker_lag", "label_outliers"),
)


@dataclass(frozen=True)
class Mixture:
    """The distributions that stacks are drawn from. Lengths are of a patch of 128 pixels; larger ones scale them.

    Attributes
    ----------
    name, version : str, int
        The version is raised when a number of a published mixture changes.
    family : str
        How scenes are composed: one of :data:`afsim.scenes.FAMILIES`.

    single, single_slanted, two, several : float
        Shares of compositions: one surface that faces the camera, one that is slanted, two surfaces, 3 to 5.
    slanted : float
        Probability that a surface of two or several is slanted.
    slant_index : (float, float)
        Range of indices that a slanted surface runs through across 128 px, log-uniform.
    separation_index : float
        Mean of the exponential distance in index of a further surface from the main one.
    behind : float
        Share of further surfaces that lie behind the main one.
    brightness_log_sd : float
        Standard deviation of the log of a further surface's light.
    masks : weights
        Shapes of surfaces that others are seen beside (:data:`afsim.masks.MASKS`).

    depth_shape, depth_scale : float
        Gamma distribution of the index of the main surface (mean 12, deciles 3 and 25): scenes are mostly far.
    depth_range, reach_index : (float, float)
        What the index of the main surface, and of any point of the scene, is clipped to. Index -1.29 is infinity.

    textures : weights
        ``photograph`` or one of :data:`afsim.textures.TEXTURES`.
    photograph_scale : (float, float)
        Range of a photograph's size over that at which it is sharp to the pixel, log-uniform. The study has none;
        with this one the Laplacian measures, which noise misleads on smooth surfaces, err about as in the paper.
    contrast_log_mean, contrast_log_sd : float
        Log-normal distribution of the exponent on a texture's light.
    textureless : float
        Share of surfaces with hardly any texture. The study found 0 to 2 %: the paper's filter by the confidence
        of the depth removes such patches.
    least_gradient : float
        Smallest mean absolute difference of neighbours in a patch, over its mean, all in focus: scenes below are
        drawn again, for the same reason. The real patches' first decile is 0.033 in their best slice.
    highlighted, highlight_count, highlight_amplitude : float, (int, int), (float, float)
        Share of surfaces with bright dots, how many, and their light over the mean (log-uniform).

    shaded, shading, shading_log_sd, shading_px : float, float, float, (float, float)
        Share of scenes with large-scale shading ``exp(s field)``, median and log-deviation of s, and the range of
        the field's scale (log-uniform).
    edged, edge_log_sd : float
        Share of scenes with one more edge of light, and the standard deviation of its log-amplitude.

    field_px : (float, float)
        Range of the distance from the principal point within which patches lie, uniform over the area.
    breathing : float
        Gain on the thin lens's focal breathing: 1.3 was measured (5.8 % over a stack).
    jitter_px, drift_px : float
        Standard deviations of each slice's sideways jitter, and of the steady drift from first to last slice.
    pupil, split_width : str, float
        Model of the dual pixel (:func:`afsim.pupil.make_pupil`) and the width of its split in pupil radii.
    field_gain : float
        Gain on the position in the field that the pupil is made for: 0 leaves out the cat's eye, as the study
        did, 1 has it in full.
    sigma_px : float
        Standard deviation of a Gaussian blur besides diffraction and pixel: the lens's own.

    level_log_mean, level_log_sd, level_range : float, float, (float, float)
        Log-normal distribution of a patch's mean signal (white = 1) and what it is clipped to.
    highest : float
        The level is lowered until 99.9 % of a patch, bright dots left out, are darker. Not in the study: without
        this a quarter of the rendered stacks would be saturated somewhere.
    shot_log_mean, shot_log_sd : float
        Log-normal distribution of the shot noise S of the green image on the native grid: variance = S x + O.
    read : float
        Read noise O of the green image on the native grid. Each view has twice the variance of green.

    flicker_sd, flicker_share : (float, float, float)
        Standard deviations of a frame's gain and the shares of stacks that have them.
    flicker_lag : float
        Correlation of a frame's gain with the next one's (0.2 to 0.65 was measured).
    flicker_jumps, flicker_jump : float, (float, float)
        Mean number of frames that are off by a jump in stacks of the strongest flicker, and its size.
    slow_gain : float
        Largest amplitude of a smooth change of gain over the stack.
    view_shading_sd : float
        Standard deviation, along each axis, of how much the ratio of the views changes across the patch.
    view_gain_sd, view_offset_sd_px : float
        Standard deviations of the views' difference in gain, and of their constant disparity.

    label_scale, label_dof : float
        Student-t error of a label before it is rounded, in index, as a multi-view-stereo ground truth has it.
    label_outliers, label_outlier_sd : float
        Share of labels with a normal error of that standard deviation instead.
    """

    name: str = "v6"
    version: int = 1
    family: str = "composition"

    single: float = 0.42
    single_slanted: float = 0.33
    two: float = 0.20
    several: float = 0.05
    slanted: float = 0.3
    slant_index: Range = (0.7, 8.0)
    separation_index: float = 8.0
    behind: float = 0.6
    brightness_log_sd: float = 0.5
    masks: Weights = (("half_plane", 0.50), ("blob", 0.25), ("strip", 0.15), ("disc_or_box", 0.10))

    depth_shape: float = 2.0
    depth_scale: float = 6.0
    depth_range: Range = (-1.0, 47.5)
    reach_index: Range = (-1.28, 50.0)

    textures: Weights = (("photograph", 0.38), ("leaves", 0.24), ("shapes", 0.18), ("cloth", 0.20))
    photograph_scale: Range = (0.35, 4.0)
    contrast_log_mean: float = -0.35
    contrast_log_sd: float = 0.55
    textureless: float = 0.01
    least_gradient: float = 0.015
    highlighted: float = 0.08
    highlight_count: tuple[int, int] = (1, 12)
    highlight_amplitude: Range = (10.0, 200.0)

    shaded: float = 0.7
    shading: float = 0.575
    shading_log_sd: float = 0.4
    shading_px: Range = (12.0, 50.0)
    edged: float = 0.5
    edge_log_sd: float = 1.1

    field_px: Range = (0.0, 1260.0)
    breathing: float = 1.3
    jitter_px: float = 0.08
    drift_px: float = 0.5
    pupil: str = "soft_split"
    split_width: float = 0.30
    field_gain: float = 0.0
    sigma_px: float = 0.5

    level_log_mean: float = -1.8
    level_log_sd: float = 0.9
    level_range: Range = (0.012, 0.45)
    highest: float = 1.0
    shot_log_mean: float = math.log(2.2e-4)
    shot_log_sd: float = 0.85
    read: float = 1e-7

    flicker_sd: tuple[float, float, float] = (0.006, 0.015, 0.06)
    flicker_share: tuple[float, float, float] = (0.65, 0.20, 0.15)
    flicker_lag: float = 0.4
    flicker_jumps: float = 1.0
    flicker_jump: Range = (0.3, 0.4)
    slow_gain: float = 0.04
    view_shading_sd: float = 0.135
    view_gain_sd: float = 0.03
    view_offset_sd_px: float = 0.225

    label_scale: float = 1.4
    label_dof: float = 4.0
    label_outliers: float = 0.015
    label_outlier_sd: float = 12.0

    def __post_init__(self) -> None:
        for each in fields(self):
            self._check_numbers(each.name, each.default)
        if self.field_px[0] == self.field_px[1]:  # no patch would ever be drawn exactly there
            raise AfsimError(
                f"mixture {self.name!r}: field_px must be a range from low to high, got {self.field_px}"
            )
        for field, weights in (
            ("compositions", (self.single, self.single_slanted, self.two, self.several)),
            ("masks", tuple(weight for _, weight in self.masks)),
            ("textures", tuple(weight for _, weight in self.textures)),
            ("flicker_share", self.flicker_share),
        ):
            if not (min(weights) >= 0 and abs(sum(weights) - 1.0) <= 1e-9):
                raise AfsimError(f"mixture {self.name!r}: shares of {field} must add up to 1, got {weights}")

    def _check_numbers(self, field: str, default: Any) -> None:
        """Raise unless a field holds numbers as its default does: as many, within bounds, ranges in order."""
        value, what = getattr(self, field), f"mixture {self.name!r}: {field}"
        if isinstance(default, str) or field in ("masks", "textures"):
            return
        several = isinstance(default, tuple)
        if several and (not isinstance(value, tuple) or len(value) != len(default)):
            raise AfsimError(f"{what} must be {len(default)} numbers, got {value!r}")
        least = -math.inf if field in _ANY_SIGN else 0.0
        above = 0.0 if field in _ABOVE_ZERO else -math.inf
        most = 1.0 if field in _AT_MOST_ONE else math.inf
        for number in value if several else (value,):
            if isinstance(default[0] if several else default, int):
                check_whole(what, number, least=least)
            check_number(what, number, least=least, above=above, most=most)
        if several and len(value) == 2 and value[0] > value[1]:
            raise AfsimError(f"{what} must be a range from low to high, got {value}")


V6: Final = Mixture()

# Noise of ISO 1600 and 6400 as the green image of the Pixel 3 has it (physics.md 3.1: S / 4, O / 2 of a whole
# pixel's); light and the rest of each are assumptions.
_DIM: Final = replace(
    V6, name="dim", level_log_mean=math.log(0.05), level_log_sd=0.4, shot_log_mean=math.log(1.2e-3), read=2.7e-5
)
MIXTURES: Final[dict[str, Mixture]] = {
    mixture.name: mixture
    for mixture in (
        V6,
        replace(V6, name="planes", family="planes"),
        replace(V6, name="leaves", family="leaves"),
        replace(V6, name="thin", family="thin"),
        replace(
            V6,
            name="low_texture",
            family="low_texture",
            least_gradient=0.0,
            edged=0.0,
            shading=0.15,
            highlighted=0.0,
        ),
        replace(V6, name="text", family="text"),
        replace(
            _DIM, name="night", family="night", level_log_mean=math.log(0.02), level_range=(0.004, 0.06), shaded=0.0
        ),
        _DIM,
        replace(_DIM, name="dark", level_log_mean=math.log(0.03), shot_log_mean=math.log(4.8e-3), read=4.2e-4),
        # Beyond 900 px a patch moves by 40 px or more over the stack.
        replace(
            V6, name="periphery", single=0.6, single_slanted=0.4, two=0.0, several=0.0, field_px=(900.0, 1260.0)
        ),
    )
}
