"""The errors a user can meet: each says which file, what was found and what to do."""

from __future__ import annotations

LONGEST = 1000  # characters of a message, which may quote a file of other people


def one_line(text: str) -> str:
    r"""A text that a terminal can be trusted with: no second line, no control signs, no end of it.

    >>> one_line("class 'a\nb\x1b[2J'")
    "class 'a\\nb\\x1b[2J'"
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 4 :]}"
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


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
        message = one_line(self.message)
        return f"{message.rstrip('.')}. {one_line(self.remedy)}" if self.remedy else message


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
