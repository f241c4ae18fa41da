"""Whole models, each a page that can be read."""

from chainrule.nn.models.convnet import ConvNet
from chainrule.nn.models.gpt import GPT
from chainrule.nn.models.resnet import BasicBlock, Bottleneck, ResNet, SmallResNet, resnet18, resnet34, resnet50

__all__ = [
    "GPT",
    "BasicBlock",
    "Bottleneck",
    "ConvNet",
    "ResNet",
    "SmallResNet",
    "resnet18",
    "resnet34",
    "resnet50",
]
