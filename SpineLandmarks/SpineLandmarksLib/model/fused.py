"""Networks made ready for use: batch norm folded into its convolution, and the fast CPU kernel asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .backbone import SameConv


class FusedConv(nn.Module):
    """One convolution with its bias, equal to a convolution of ours and the batch norm after it."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None):
        super().__init__()
        weight, bias, kernel = conv.weight, conv.bias, conv.kernel_size[0]
        if norm is not None:
            weight, bias = fuse_conv_bn_weights(weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
        if conv.stride[0] == 2:
            # "Same" padding of even sides has one more pixel after than before. A row and a column of
            # zeros in the kernel say the same, and save a padded copy of every such input. Odd sides, which
            # are padded evenly, take one more pixel all around for it.
            weight, kernel = F.pad(weight, (1, 0, 1, 0)), kernel + 1
        self.weight = nn.Parameter(weight.detach().contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)
        self.stride, self.groups, self.padding = conv.stride, conv.groups, (kernel - 1) // 2

    def padding_of(self, x: Tensor) -> tuple[int, int]:
        """In y and x, for an input (B, C, H, W)."""
        return tuple(self.padding + side % stride for side, stride in zip(x.shape[2:], self.stride))

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding_of(x)
        if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
            # On one thread conv2d sends small batches through a kernel half as fast.
            return torch.mkldnn_convolution(x, self.weight, self.bias, padding, self.stride, (1, 1), self.groups)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, 1, self.groups)


def fuse(network: nn.Module) -> nn.Module:
    """Fold a network's batch norms and replace its convolutions, in place; for inference alone."""
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[0], SameConv):
            child[0], child[1] = FusedConv(child[0], child[1]), nn.Identity()
        elif isinstance(child, nn.Conv2d):
            setattr(network, name, FusedConv(child, None))
        else:
            fuse(child)
    return network
