"""The errors a caller can act on. All are ``ValueError``: something given to afsim was not what it expects."""

from collections.abc import Iterable


class AfsimError(ValueError):
    """A value, file or combination that afsim cannot use; the message names what, where and what was expected."""


class StackError(AfsimError):
    """A focal stack whose parts do not fit together."""


class StoreError(AfsimError):
    """A stack set on disk that is missing, damaged, or written by a newer version."""


class ReaderError(AfsimError):
    """A recording that cannot be imported as it is."""


class UnsuitableError(AfsimError):
    """Stacks that lack what a policy needs: a second view, known focus distances, room for a disparity."""


class PrivilegedPolicyError(AfsimError):
    """A policy that needs knowledge (the truth, the whole stack) that its seat does not give it."""


class WithheldError(AfsimError):
    """A quantity that the recording does not determine, so that no number is given for it."""


def unknown(what: str, got: object, known: Iterable[str]) -> AfsimError:
    """Return the error for a name that is not in a registry.

    Parameters
    ----------
    what : str
        What the name should have named, e.g. ``"policy"``.
    got : object
        The name that was given.
    known : iterable of str
        The names that exist.
    """
    names = ", ".join(sorted(known))
    return AfsimError(f"unknown {what} {got!r}; expected one of: {names}")
