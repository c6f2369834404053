from __future__ import annotations

import pytest
import torch
from torch import nn

from histocnn.models.stems import ConvStem


def test_ctranspath_s_stem_by_hand() -> None:
    stem = ConvStem(img_size=32, embed_dim=96, norm_layer=nn.LayerNorm).eval()
    shapes = {k: tuple(v.shape) for k, v in stem.state_dict().items() if v.ndim == 4}
    assert shapes == {"proj.0.weight": (12, 3, 3, 3), "proj.3.weight": (24, 12, 3, 3),
                      "proj.6.weight": (96, 24, 1, 1)}  # fmt: skip
    images = torch.rand(2, 3, 32, 32)
    first = torch.relu(stem.proj[1](nn.functional.conv2d(images, stem.proj[0].weight, None, 2, 1)))
    second = torch.relu(stem.proj[4](nn.functional.conv2d(first, stem.proj[3].weight, None, 2, 1)))
    tokens = nn.functional.conv2d(second, stem.proj[6].weight, stem.proj[6].bias)
    expected = nn.functional.layer_norm(tokens.permute(0, 2, 3, 1), (96,))
    torch.testing.assert_close(stem(images), expected)
    assert stem.num_patches == 64
    with pytest.raises(AssertionError, match="32 px only"):
        stem(torch.rand(1, 3, 36, 36))
