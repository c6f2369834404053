"""Losses, measures and the rate's course, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from histocnn.errors import UsageError
from histocnn.metrics.patch import patch_report
from histocnn.models.learning import MacroAUROC, build_loss, warm_up_and_cosine
from histocnn.models.options import ModelOptions


def test_warm_up_and_cosine_by_hand():
    factor = warm_up_and_cosine(warmup=3, steps=11)
    assert [factor(s) for s in range(3)] == [0.25, 0.5, 0.75]
    assert factor(3) == 1
    assert factor(7) == pytest.approx(0.5)
    assert factor(11) == pytest.approx(0)
    assert warm_up_and_cosine(0, 10)(0) == 1


def test_an_absent_class_has_no_auroc_instead_of_none_at_all():
    scores = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1]])
    measure = MacroAUROC(3)
    measure.update(scores, torch.tensor([0, 0, 1, 1]))  # three of four pairs are in order, twice
    assert float(measure.compute()) == pytest.approx(0.75, abs=0.01)
    exact = patch_report(scores.numpy(), [0, 0, 1, 1], ["a", "b", "c"]).figures["macro_auroc"]
    assert exact.value == pytest.approx(float(measure.compute()), abs=0.01)
    measure.reset()
    measure.update(scores, torch.zeros(4, dtype=torch.long))
    assert torch.isnan(measure.compute())


def test_a_loss_by_name_with_its_arguments():
    loss = build_loss(
        ModelOptions(loss={"class_path": "torch.nn.MultiMarginLoss", "init_args": {"p": 2}}), None
    )
    assert isinstance(loss, nn.MultiMarginLoss)
    assert loss.p == 2


@pytest.mark.parametrize(
    ("loss", "more", "message"),
    [
        ({"class_path": "os.system"}, {}, r"os\.system: is no torch\.nn.*Module"),
        ({"class_path": "torch.nn.Nonsense"}, {}, "is not there"),
        ({"class_path": "no_such_module.Loss"}, {}, "cannot be imported"),
        ({"class_path": "torch.nn.MultiMarginLoss", "init_args": {"q": 1}}, {}, "'q'"),
        ({"name": "torch.nn.MultiMarginLoss"}, {}, "class_path"),
        ({"class_path": "torch.nn.MultiMarginLoss"}, {"label_smoothing": 0.1}, "init_args"),
    ],
)
def test_losses_that_cannot_be_meant(loss, more, message):
    with pytest.raises(UsageError, match=message):
        build_loss(ModelOptions(loss=loss, **more), None)
