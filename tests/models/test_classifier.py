from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from histocnn.errors import TrainingError, UsageError
from histocnn.models.backbones import build
from histocnn.models.classifier import AUXILIARY_WEIGHT, Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.networks import Network
from histocnn.models.options import DataOptions, ModelOptions
from tests.models.patch_files import write_csv


def classifier(class_names=("a", "b"), **options) -> Classifier:
    given = {k: options.pop(k) for k in ("class_weights", "input_px") if k in options}
    usual = {"backbone": "lenet5", "weights": None}
    return Classifier(list(class_names), ModelOptions(**usual | options), **given)


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("csv"), {"train": 32, "val": 12, "test": 12})


def fit(model: Classifier, listing: Path, out: Path, epochs: int = 1, **options) -> Trainer:
    data = PatchDataModule(DataOptions(listing, augment="none", workers=0, batch_size=8))
    with warnings.catch_warnings():  # Lightning's advice, and its use of what torch deprecates
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_|torch.utils")
        trainer = Trainer(
            accelerator="cpu", max_epochs=epochs, default_root_dir=out, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False, **options,
        )  # fmt: skip
        trainer.fit(model, data)
    return trainer


def test_decay_spares_biases_and_the_backbone_learns_by_its_factor(listing, tmp_path):
    model = classifier(backbone_factor=0.1, learning_rate=1e-2, weight_decay=0.3)
    trainer = fit(model, listing, tmp_path)
    head, head_bias, backbone, backbone_bias = trainer.optimizers[0].param_groups
    assert [g["initial_lr"] for g in (head, backbone)] == pytest.approx([1e-2, 1e-3])
    assert [g["weight_decay"] for g in (head, head_bias, backbone, backbone_bias)] == [
        0.3,
        0,
        0.3,
        0,
    ]
    assert [p.ndim for p in head["params"]] == [2]
    assert all(p.ndim == 1 for p in backbone_bias["params"])


def test_a_linear_probe_leaves_the_backbone_as_it_was(listing, tmp_path, monkeypatch):
    def with_batch_norm(name, num_classes, weights, dropout, *others):
        backbone = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1),
                                 nn.Flatten())  # fmt: skip
        return Network(backbone, 4, num_classes, dropout, "lenet5")

    monkeypatch.setattr("histocnn.models.classifier.build", with_batch_norm)
    model = classifier(finetune="head", weights="somewhere")
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    fit(model, listing, tmp_path)
    after = model.network.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"head.1.weight", "head.1.bias"}  # running means included
    with pytest.raises(UsageError, match="linear probe needs a trained backbone"):
        classifier(finetune="head")


def test_auxiliary_heads_take_part_in_the_loss():
    class Fixed(nn.Module):
        def forward(self, images):
            return torch.zeros(2, 2), torch.full((2, 2), 0.0)

    model = classifier()
    model.network = Network(Fixed(), 2, 0, name="lenet5")
    batch = {"pixels": torch.zeros(2, 28, 28, 3, dtype=torch.uint8), "labels": torch.tensor([0, 1])}
    loss = model.step(batch, "train")
    assert float(loss) == pytest.approx((1 + AUXILIARY_WEIGHT) * 0.693147, abs=1e-5)


def test_class_weights_and_smoothing_reach_the_loss():
    model = classifier(class_weights=[3.0, 1.0], label_smoothing=0.1)
    assert model.loss.weight.tolist() == [3, 1]
    assert model.loss.label_smoothing == 0.1


def test_a_loss_that_is_no_number_stops_and_names_the_patches(listing, tmp_path):
    model = classifier()
    with torch.no_grad():
        model.network.head[1].bias.fill_(float("nan"))
    eight = r"loss became nan in epoch 0 on (\d{4}\.png(, )?){8}"
    with pytest.raises(TrainingError, match=eight):
        fit(model, listing, tmp_path)


def test_a_step_without_readable_patches_learns_nothing():
    empty = {
        "pixels": torch.zeros(0, 28, 28, 3, dtype=torch.uint8),
        "labels": torch.zeros(0).long(),
    }
    assert classifier().step(empty, "train") is None


def test_a_checkpoint_of_other_classes_is_refused():
    checkpoint: dict = {}
    classifier().on_save_checkpoint(checkpoint)
    classifier().on_load_checkpoint(checkpoint)
    other = classifier(["a", "c"])
    with pytest.raises(
        TrainingError, match=r"classes are \['a', 'b'\], the patches' are \['a', 'c'\]"
    ):
        other.on_load_checkpoint(checkpoint)


def test_the_spec_names_the_network():
    spec = classifier(input_px=28).spec
    assert spec.backbone == "lenet5"
    assert spec.class_names == ("a", "b")
    assert spec.input_px == 28
    assert isinstance(build(spec.backbone, 2), Network)
