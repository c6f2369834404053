"""Files of the Hugging Face hub: from its cache, else downloaded; free of torch.

The hub's own client does both, resumes what broke off, and keeps to HF_HOME, HF_ENDPOINT and
HF_HUB_OFFLINE. Here its errors become ours: which file, why, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from histocnn.errors import ModelError

PREFIX = "hf-hub:"
FOLDER = "local-dir:"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
MOST_BYTES = 1 << 20  # of a configuration


def spelled(name: str) -> str:
    """A network's name with timm's other spelling of the hub, and ours, made one.

    >>> spelled("hf_hub:ORG/NAME"), spelled("local_dir:nets/a"), spelled("resnet18")
    ('hf-hub:ORG/NAME', 'local-dir:nets/a', 'resnet18')
    """
    for prefix in (PREFIX, FOLDER):
        if name.startswith(prefix.replace("-", "_")):
            return prefix + name[len(prefix) :]
    return name


def is_published(name: str) -> bool:
    """Whether a name stands for a network with its weights: on the hub, or in a folder like it."""
    return name.startswith((PREFIX, FOLDER))


def page(repo: str) -> str:
    """The address of a network's page, where its terms stand.

    >>> page("ORG/NAME@main").endswith("/ORG/NAME")
    True
    """
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo.partition('@')[0]}"


def fetch(repo: str, file: str, *, offline: bool = False) -> Path | None:
    """A file of the hub's, as it lies in the cache; None where the hub has no such file.

    Args:
        repo: ORG/NAME, and behind an @ its revision.
        file: Its name there.
        offline: Only look into the cache.

    Raises:
        ModelError: Its terms are not accepted, there is no such network, or the hub cannot be
            reached and it is not cached.
    """
    from huggingface_hub import errors, hf_hub_download

    name, _, revision = repo.partition("@")
    try:
        found = hf_hub_download(
            name, file, revision=revision or None, local_files_only=offline, library_name="timm"
        )
        return Path(found)
    except errors.LocalEntryNotFoundError as error:
        raise _absent(repo, file, error) from error
    except errors.EntryNotFoundError:
        return None
    except errors.GatedRepoError as error:
        raise _gated(repo) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError(
            f"the hub has no {repo}, or does not show it to you",
            f"Check the name; log in by `hf auth login` if {page(repo)} asks for it.",
        ) from error
    except errors.HFValidationError as error:
        raise ModelError(f"{repo} is no name of the hub's", "Give hf-hub:ORG/NAME.") from error
    except Exception as error:  # whatever its client, or the connection below it, raises
        raise _absent(repo, file, error) from error


def weights_of(repo: str, files: Sequence[str] = WEIGHTS) -> Path:
    """The weights of a network of the hub, in the first of these files that it has.

    Raises:
        ModelError: As `fetch`, or it has none of them.
    """
    for file in files:
        if (found := cached(repo, file)) is not None:
            return found
    for file in files:
        if (found := fetch(repo, file)) is not None:
            return found
    raise ModelError(
        f"{PREFIX}{repo} has none of {', '.join(files)}",
        "Take its file of weights from there and give it as --weights FILE.",
    )


def cached(repo: str, file: str) -> Path | None:
    """Where a file of the hub's lies in the cache; None where it does not. Nobody is asked."""
    from huggingface_hub import errors, try_to_load_from_cache

    name, _, revision = repo.partition("@")
    try:
        found = try_to_load_from_cache(name, file, revision=revision or None)
    except (errors.HFValidationError, ValueError):
        return None
    return Path(found) if isinstance(found, str) else None


def configuration(name: str, weights: Path | None = None) -> dict[str, Any]:
    """The configuration of a network of the hub or of a folder.

    Args:
        name: `hf-hub:ORG/NAME` or `local-dir:PATH`.
        weights: The file of weights that was given: then the hub is not asked, and the
            configuration is that beside the file, or the cache's.

    Raises:
        ModelError: There is none, or it is not JSON's.
    """
    if name.startswith(FOLDER):
        return _read(Path(name.removeprefix(FOLDER)) / CONFIG)
    repo = name.removeprefix(PREFIX)
    if weights is not None and (weights.parent / CONFIG).is_file():
        return _read(weights.parent / CONFIG)
    try:
        found = cached(repo, CONFIG) or fetch(repo, CONFIG, offline=weights is not None)
    except ModelError as error:
        if weights is None:
            raise
        raise ModelError(
            f"{name}: which network {weights} is stands in its {CONFIG}, which lies neither beside "
            "the file nor in the cache",
            f"Copy {CONFIG}, too; with a file of weights the hub is not asked.",
        ) from error
    if found is None:
        raise ModelError(
            f"{name} has no {CONFIG}", "Give --backbone timm/NAME, --backbone_args and --weights."
        )
    return _read(found)


def folder_weights(name: str) -> Path:
    """The weights in a folder that is laid out as the hub's.

    Raises:
        ModelError: None of `WEIGHTS` is there.
    """
    folder = Path(name.removeprefix(FOLDER))
    for file in WEIGHTS:
        if (folder / file).is_file():
            return folder / file
    raise ModelError(f"{folder}: has none of {', '.join(WEIGHTS)}", "Give --weights FILE.")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror})", "Check the folder."
        ) from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: is no JSON object", "Take the model from its author.")
    return found


def _gated(repo: str) -> ModelError:
    return ModelError(
        f"{PREFIX}{repo} is given to those who accept its terms, and you have not, or are not "
        "logged in",
        f"Accept them at {page(repo)} and log in by `hf auth login`; or copy its file from a "
        "machine where that is done and give --weights FILE.",
    )


def _absent(repo: str, file: str, error: Exception) -> ModelError:
    return ModelError(
        f"{PREFIX}{repo} could not be downloaded ({type(error).__name__} for {file}) and is not "
        "cached",
        "Fetch its weights where there is a network and give the file as --weights FILE.",
    )
