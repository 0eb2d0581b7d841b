"""The parabola through three neighbours, which gives the fraction that whole steps leave out."""

from afsim.jit import compiled


@compiled
def extreme_offset(before: float, at: float, after: float) -> float:
    """Return where between -0.5 and 0.5 the parabola through three values has its extreme; 0 where it has none.

    ``at`` is the largest of the three, or the smallest.
    """
    bend = 2.0 * at - before - after
    if bend == 0.0:
        return 0.0
    return min(max(0.5 * (after - before) / bend, -0.5), 0.5)
