"""The virtual lens: what can go wrong with a voice coil, as numbers. :mod:`afsim.actuator` moves it.

A phone's lens hangs on springs; a current pushes it out, and nothing tells where it is (open loop). Between the
command and the position lie errors of calibration, gravity, temperature, friction and ringing. Names and numbers
follow the drivers, data sheets and field reports of such actuators; where there is no public number, the default is
assumed and said to be.
"""

from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

from afsim.checks import check_number, check_switch, check_whole
from afsim.errors import AfsimError, unknown
from afsim.optics import PIXEL3_FOCAL_LENGTH_M
from afsim.options import from_text

Shaper = Literal["none", "slew", "ZV", "ZVD"]
Approach = Literal["far", "near", "random"]
Law = Literal["normal", "uniform"]

# Those of them that are all zero make a lens exact.
IMPERFECTIONS: Final = (
    *("offset", "gain", "bow", "gravity", "thermal", "magnet", "hysteresis", "ringing", "jitter", "crosstalk"),
    "lateral",
)
_NEVER_NEGATIVE: Final = (
    *(name for name in IMPERFECTIONS if name != "ringing"),
    *("orientation", "temperature_sd", "mistuning"),
)


@dataclass(frozen=True)
class Lens:
    """A voice-coil lens. Every imperfection is a field, and zero (``ringing``: False) switches it off.

    What is called a spread is the standard deviation of a normal distribution that is drawn once an episode.

    Attributes
    ----------
    name : str
        Of the preset.
    focal_length_m : float
        Focal length in metres, which turns dioptres into travel; the Pixel 3's by default.
    code_um : float
        Travel of one code of the driver in micrometres; 0.8954 is the Pixel 3's, from its 49 published distances.
    codes : (int, int)
        Codes that the driver accepts, 0 at the farthest index: ten bits, five of them beyond (assumed).
    offset : float
        Spread of the calibration's offset in micrometres.
    gain : float
        Spread of the calibration's gain, relative.
    bow : float
        Spread of the calibration's bow in the middle of the travel, in micrometres.
    gravity : float
        Share of the spring's sag under gravity that nothing compensates, 0 ... 1. The sag itself follows from the
        resonance: g / omega^2, 38.8 um at 80 Hz.
    orientation, orientation_law : float, {"normal", "uniform"}
        Spread (or half range) of the direction: +1 looks up, where the lens sags and focuses farther, -1 down.
    temperature, temperature_sd : float
        Kelvins above the calibration's temperature: mean and spread at the start of an episode.
    warming, warmup_s : float
        By how many kelvins the lens warms up in the end, and the time constant in seconds (a driven coil
        dissipates 80-250 mW; both assumed).
    thermal : float
        Shift of the focus in micrometres per kelvin: hot lenses focus farther (assumed, from balloon flights).
    magnet : float
        Loss of force per kelvin, relative; -0.11 %/K is neodymium's.
    hysteresis : float
        Half the width of the loop in micrometres (play operator; no public measurement).
    ringing : bool
        Whether the lens swings; otherwise it is there at once.
    resonance, damping : float
        Natural frequency in hertz and damping ratio. 125 um settle to 5 um in 50 ms (Tessera): 0.13 at 80 Hz.
    shaper : {"none", "slew", "ZV", "ZVD"}
        How the driver shapes a step: not, as a ramp, or in two or three parts that cancel the ringing (Singer and
        Seering, 1990).
    mistuning : float
        Relative error of the frequency that the shaper is designed for; its sign is drawn.
    slew : float
        Ramp of the ``slew`` shaper in micrometres per millisecond; 22 is the DW9714's default, 4 codes in 162 us.
    jitter : float
        Spread of the position from frame to frame, in micrometres.
    crosstalk : float
        Spread of what image stabilisation pushes the lens along its axis, anew at every move, in micrometres
        (assumed: 1 % to 2 % of a lateral stroke of 100 um).
    lateral : float
        Spread of the lens's sideways shift, anew at every move, in pixels.
    approach : {"far", "near", "random"}
        The stop from which the lens comes to the start of an episode.

    Raises
    ------
    AfsimError
        For a value that no lens can have; the message names the field.
    """

    name: str = "ideal"
    focal_length_m: float = PIXEL3_FOCAL_LENGTH_M
    code_um: float = 0.8954
    codes: tuple[int, int] = (-5, 1018)
    offset: float = 0.0
    gain: float = 0.0
    bow: float = 0.0
    gravity: float = 0.0
    orientation: float = 0.35
    orientation_law: Law = "normal"
    temperature: float = 0.0
    temperature_sd: float = 0.0
    warming: float = 0.0
    warmup_s: float = 120.0
    thermal: float = 0.0
    magnet: float = 0.0
    hysteresis: float = 0.0
    ringing: bool = False
    resonance: float = 80.0
    damping: float = 0.13
    shaper: Shaper = "none"
    mistuning: float = 0.0
    slew: float = 22.0
    jitter: float = 0.0
    crosstalk: float = 0.0
    lateral: float = 0.0
    approach: Approach = "far"

    def __post_init__(self) -> None:
        for name, kind in (("shaper", Shaper), ("approach", Approach), ("orientation_law", Law)):
            if getattr(self, name) not in get_args(kind):
                raise unknown(f"lens {name}", getattr(self, name), get_args(kind))
        for each in fields(self):
            if isinstance(each.default, float):
                check_number(f"lens {each.name}", getattr(self, each.name))
        check_switch("lens ringing", self.ringing)
        for name in _NEVER_NEGATIVE:
            check_number(f"lens {name}", getattr(self, name), least=0.0)
        for name in ("focal_length_m", "code_um", "warmup_s", "resonance", "slew"):
            check_number(f"lens {name}", getattr(self, name), above=0.0)
        check_number("lens gravity", self.gravity, most=1.0)
        if not 0.0 < self.damping < 1.0:
            raise AfsimError(f"lens damping must lie between 0 and 1 (an underdamped spring), got {self.damping}")
        if not self.mistuning < 1.0:
            raise AfsimError(f"lens mistuning must be below 1, got {self.mistuning}")
        codes = self.codes
        if not isinstance(codes, tuple) or len(codes) != 2:
            raise AfsimError(f"lens codes must be two rising numbers, got {codes}")
        for code in codes:
            check_whole("lens codes", code)
        if not codes[0] < codes[1]:
            raise AfsimError(f"lens codes must be two rising numbers, got {codes}")

    @property
    def is_exact(self) -> bool:
        """Whether the lens is always where it was told to be, at once: no imperfection, no limit to its codes."""
        return self.codes == Lens.codes and not any(getattr(self, name) for name in IMPERFECTIONS)


LENSES: Final[dict[str, Lens]] = {
    "ideal": Lens(),
    # A compensated phone module at room temperature, a little warm.
    "typical_phone": Lens(
        name="typical_phone",
        offset=2.5,
        gain=0.015,
        bow=1.0,
        gravity=0.15,
        temperature=5.0,
        temperature_sd=5.0,
        warming=3.0,
        thermal=0.4,
        magnet=1.1e-3,
        hysteresis=1.0,
        ringing=True,
        shaper="ZVD",
        mistuning=0.04,
        jitter=0.3,
        crosstalk=1.0,
        lateral=0.3,
    ),
    # An old module in a hot phone: soft spring, uncompensated gravity, a shaper tuned for another frequency.
    "worn_warm": Lens(
        name="worn_warm",
        offset=8.0,
        gain=0.05,
        bow=3.0,
        gravity=1.0,
        orientation=0.7,
        orientation_law="uniform",
        temperature=20.0,
        temperature_sd=8.0,
        warming=3.0,
        thermal=0.4,
        magnet=1.1e-3,
        hysteresis=3.0,
        ringing=True,
        resonance=65.0,
        damping=0.08,
        shaper="ZV",
        mistuning=0.15,
        jitter=0.6,
        crosstalk=1.0,
        lateral=0.8,
    ),
    # A Hall sensor and a servo remove what moves the lens; the glass still changes with temperature.
    "closed_loop": Lens(
        name="closed_loop",
        offset=0.5,
        gain=0.003,
        bow=0.3,
        gravity=0.01,
        temperature=5.0,
        temperature_sd=5.0,
        warming=3.0,
        thermal=0.4,
        hysteresis=0.2,
        ringing=True,
        resonance=150.0,
        damping=0.7,
        jitter=0.15,
        crosstalk=0.2,
        lateral=0.2,
    ),
}


def make_lens(text: str) -> Lens:
    """Return a preset, perhaps with changes: ``"worn_warm"`` or ``"worn_warm,hysteresis=0,ringing=off"``.

    Raises
    ------
    AfsimError
        For a preset or field that does not exist, or a value that does not fit it.
    """
    return from_text(text, LENSES, "lens")
