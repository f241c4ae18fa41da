"""Whole models, each a page that can be read."""

from chainrule.nn.models.autoencoder import Autoencoder
from chainrule.nn.models.convnet import ConvNet
from chainrule.nn.models.gpt import GPT
from chainrule.nn.models.lenet import LeNet5
from chainrule.nn.models.mobilenet import InvertedResidual, MobileNetV2
from chainrule.nn.models.resnet import BasicBlock, Bottleneck, ResNet, SmallResNet, resnet18, resnet34, resnet50
from chainrule.nn.models.seq2seq import Seq2SeqTransformer
from chainrule.nn.models.tagger import BiLSTMTagger
from chainrule.nn.models.unet import UNet
from chainrule.nn.models.variational import VariationalAutoencoder

__all__ = [
    "GPT",
    "Autoencoder",
    "BasicBlock",
    "BiLSTMTagger",
    "Bottleneck",
    "ConvNet",
    "InvertedResidual",
    "LeNet5",
    "MobileNetV2",
    "ResNet",
    "Seq2SeqTransformer",
    "SmallResNet",
    "UNet",
    "VariationalAutoencoder",
    "resnet18",
    "resnet34",
    "resnet50",
]
