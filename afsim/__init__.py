"""afsim: a camera-control simulator for autofocus.

Recorded focal stacks are replayed as a virtual lens; policies act in it for m steps and are compared by
accuracy, steps, lens travel and time. The way through the house::

    FocalStack -> StackSet -> Camera(Lens, Sensor) -> FocusTask -> env -> Policy -> rollout -> metrics -> report
"""

from afsim.errors import AfsimError
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet

__version__ = "0.1.0"

__all__ = ["AfsimError", "FocalStack", "Levels", "StackSet", "__version__"]
