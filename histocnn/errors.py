"""The errors a user can meet: each says which file, what was found and what to do."""

from __future__ import annotations


class HistocnnError(Exception):
    """The base of every error that is the input's doing and not a bug.

    Args:
        message: One sentence: the file or value, and what was found.
        remedy: What to do about it, as a second sentence; empty if nothing can be done.

    The command line prints both on one line and exits with `exit_code`.

    >>> print(SlideError("a.svs: there is no such file", "Check the path of the slide."))
    a.svs: there is no such file. Check the path of the slide.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.remedy}" if self.remedy else self.message


class UsageError(HistocnnError):
    """An option or argument that cannot be meant."""

    exit_code = 2


class CohortError(HistocnnError):
    """slides.csv, or the folder in its place, cannot be used as it is."""


class SlideError(HistocnnError):
    """A slide that cannot be opened or trusted."""


class ResolutionError(SlideError):
    """A slide whose µm/px is missing, implausible or too coarse for what is asked."""


class ReadError(SlideError):
    """Pixels of an opened slide could not be decoded."""


class AnnotationError(HistocnnError):
    """An annotation or tissue file that cannot be read or does not fit its slide."""


class StoreError(HistocnnError):
    """A file between stages that is not whole, not ours, or cannot be written."""


class PatchesError(HistocnnError):
    """A folder or list of patches that cannot be used as it is."""


class FeaturesError(HistocnnError):
    """Features that do not fit each other or the question asked of them."""


class ModelError(HistocnnError):
    """A model file or a set of weights that cannot be used as it is."""


class TrainingError(HistocnnError):
    """A training run that cannot start or go on."""


class MetricError(HistocnnError):
    """Scores and truth from which a figure cannot be computed."""
