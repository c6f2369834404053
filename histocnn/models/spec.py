"""What a trained network needs to be used again, and the file that holds both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from histocnn import __version__
from histocnn.cohort.seen import Cohorts, Seen, TrainingCohort, seen_by
from histocnn.errors import ModelError
from histocnn.metrics.terms import NOBODYS, UNKNOWN, Terms
from histocnn.models.backbones import build
from histocnn.models.custom import check_typed
from histocnn.models.encoders import terms_of
from histocnn.models.model_file import SPEC, says, text_of
from histocnn.models.networks import Network
from histocnn.models.pooling import Pool
from histocnn.models.preparation import IMAGENET_MEAN, IMAGENET_STD, Interpolation
from histocnn.models.stored_spec import check, parsed
from histocnn.scores.scoring import Scoring
from histocnn.storage.atomic import replacing

FORMAT = 1  # of the spec; raised when an older version could no longer understand it


@dataclass(frozen=True)
class ModelSpec:
    """Everything about a network but its weights.

    Attributes:
        backbone: A name that `backbones.build` knows.
        arguments: Further arguments of the architecture.
        layers: Layers to embed from; empty: the penultimate features.
        class_names: Of the head's outputs, in order; empty without a head.
        patch_px: Side of the patches it was trained on; None where they differed.
        mpp: Their µm/px; None where unknown.
        pool: How tokens or maps become the penultimate features; None: as the network does.
        input_px: Side that patches are resized to; None: as they come.
        resize_px: Side that patches of another size are resized to before `input_px` is cut out of
            their middle; None: they are resized to `input_px`.
        interpolation: With which they are resized.
        mean: Of RGB in 0..1, subtracted.
        std: Of RGB in 0..1, divided by.
        stain: Stain normalisation, as `slides.stain.Normaliser.to_dict`; None: not normalised.
        temperature: Divides the logits; fitted on validation.
        thresholds: Operating points: name → {class: threshold}.
        dense: Of dense scores `temperature`, `thresholds` and `validation`, of validation scored
            densely; or `refused`: why there are none; empty where nobody tried.
        seen: Who took part in training, as the `parts` of `cohort.seen.TrainingCohort`.
        salt: Of the hashed ids.
        earlier: Cohorts of the trainings that its first weights came from, as {"parts", "salt"}.
        training: Facts for the report: cohort, prior, seed, settings.
        validation: What is remembered of validation's scores, as `metrics.validation.Facts`.
        colour: Of training patches, as `reference.colour.ColourReference`; None: not stored.
        conformal: Limits of prediction sets, as `metrics.conformal.Calibration`; None: no patients
            were kept for them.
        encoder: Whose weights it began with, as `metrics.terms.Terms`; None: nobody recorded it.
        version: Of histocnn that wrote it.
    """

    backbone: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    pool: Pool | None = None
    class_names: tuple[str, ...] = ()
    patch_px: int | None = None
    mpp: float | None = None
    input_px: int | None = None
    resize_px: int | None = None
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    stain: Mapping[str, Any] | None = None
    temperature: float = 1.0
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    dense: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    salt: str | None = None
    earlier: tuple[Mapping[str, Any], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, Any] = field(default_factory=dict)
    colour: Mapping[str, Any] | None = None
    conformal: Mapping[str, Any] | None = None
    encoder: Mapping[str, Any] | None = None
    version: str = __version__
    format: int = FORMAT

    def to_json(self) -> str:
        """Write the spec as one line of JSON with sorted keys: equal specs give equal text."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read the spec that `to_json` wrote.

        Raises:
            ModelError: It was written by a version with another format, or is of another form.
        """
        stored = parsed(text)
        if stored.get("format") != FORMAT:
            raise ModelError(
                f"the model was written by histocnn {stored.get('version', 'of unknown version')} "
                f"(format {stored.get('format')}), this is {__version__} (format {FORMAT})",
                "Use that version, or train again with this one.",
            )
        check(stored)
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in stored.items() if k in known}
        for name in ("layers", "class_names", "mean", "std", "earlier"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    @property
    def cohorts(self) -> Cohorts | None:
        """Who took part in the trainings behind these weights; None where nobody recorded it."""
        if not self.seen:
            return None
        earlier = (TrainingCohort(own["parts"], own.get("salt")) for own in self.earlier)
        return TrainingCohort(self.seen, self.salt), *earlier

    def seen_as(self, slide_id: str, patient_id: str, fingerprint: str = "") -> Seen:
        """Which part of the training cohort this slide, its file or its patient was in."""
        return seen_by(self.cohorts, slide_id, patient_id, fingerprint).seen

    @property
    def terms(self) -> Terms:
        """By whose leave it, and what is made with it, may be used."""
        return UNKNOWN if self.encoder is None else Terms.from_dict(self.encoder)

    @property
    def is_dense_calibrated(self) -> bool:
        """Whether dense scores have a temperature of their own."""
        return "temperature" in self.dense

    def calibration(self, *, dense: bool) -> Mapping[str, Any]:
        """`temperature`, `thresholds` and `validation` of dense scores or of patches'.

        Patches' serve dense scores where these have none of their own.
        """
        if dense and self.is_dense_calibrated:
            return {"thresholds": {}, "validation": {}, **self.dense}
        return {name: getattr(self, name) for name in ("temperature", "thresholds", "validation")}

    def scoring(
        self,
        recipe: Mapping[str, Any],
        slide_ids: Sequence[str],
        patient_ids: Sequence[str],
        fingerprint: str = "",
        dense: bool = False,
    ) -> Scoring:
        """What a score file says of this model's scores.

        Args:
            recipe: Of the file.
            slide_ids: The slide of each patch, "" unknown.
            patient_ids: The patient of each patch, "" unknown.
            fingerprint: Of the slide's file, which may bear another id here than in training.
            dense: The scores are of windows, with a calibration of their own where there is one.
        """
        fitted = self.calibration(dense=dense)
        pairs = list(zip(slide_ids, patient_ids, strict=True))
        verdicts = {pair: seen_by(self.cohorts, *pair, fingerprint) for pair in set(pairs)}
        return Scoring(
            class_names=self.class_names,
            recipe=recipe,
            verdicts=[verdicts[pair] for pair in pairs],
            temperature=fitted["temperature"],
            thresholds=fitted["thresholds"],
            training=self.training,
            validation=fitted["validation"] or None,
            colour=self.colour,
            encoder=self.terms.to_dict(),
        )


def save(path: str | Path, network: Network, spec: ModelSpec) -> None:
    """Write weights and spec as one `.safetensors`, whole or not at all.

    Raises:
        StoreError: The file cannot be written, or the disk is full.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"format": "pt", SPEC: spec.to_json()})


def read_spec(path: str | Path) -> ModelSpec:
    """The spec of a model file, without its weights.

    Raises:
        ModelError: Not a model that histocnn wrote, or of another format.
    """
    text = text_of(path)
    try:
        return ModelSpec.from_json(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error.message}", error.remedy) from error


def cohorts_behind(weights: str | Path | None) -> Cohorts | None:
    """Who took part in the training that gave a backbone its weights.

    A model file of ours says it. Weights of others, `imagenet` among them, and new ones count as
    having seen nobody of a cohort of ours; of a checkpoint nobody recorded it (None).

    Raises:
        ModelError: As `read_spec`.
    """
    path = Path(weights or "imagenet")
    if path.suffix == ".ckpt":
        return None
    if path.suffix != ".safetensors" or not path.is_file() or not says(path):
        return ()
    return read_spec(path).cohorts


def terms_behind(name: str, weights: str | Path | None) -> Terms:
    """By whose leave a network with these weights may be used.

    A model file of ours says what it began with; weights of an encoder or a library are theirs; new
    ones nobody's; of a checkpoint, and of anybody's file, it is unknown.

    Raises:
        ModelError: As `read_spec`.
    """
    if weights is None:
        return NOBODYS
    path = Path(weights)
    if path.suffix == ".safetensors" and path.is_file() and says(path):
        return read_spec(path).terms
    return UNKNOWN if path.suffix == ".ckpt" else terms_of(name, str(weights))


def load(
    path: str | Path, device: str | torch.device = "cpu", backbone: str | None = None
) -> tuple[Network, ModelSpec]:
    """Network (evaluation mode, on the device) and spec of a model file.

    Args:
        path: The file.
        device: Where the network shall be.
        backbone: Of a model of somebody's own network its `package.module:Class` once more: the
            file's own text is never imported.

    Raises:
        ModelError: As `read_spec`, the weights are not the spec's network, or `backbone` is not
            what the file says.
    """
    spec = read_spec(path)
    check_typed(path, spec.backbone, backbone)
    network = build(spec.backbone, len(spec.class_names), arguments=spec.arguments, pool=spec.pool)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights are not those of {spec.backbone}",
            "Was the network changed since? Train again, or use it as it was.",
        ) from error
    return network.to(device, memory_format=torch.channels_last).eval(), spec  # type: ignore[call-overload]
