"""Optimizers: how parameters follow from gradients."""

from chainrule.optim import lr_scheduler
from chainrule.optim.adam import Adam, AdamW
from chainrule.optim.adam_kin import LAMB, Adamax, NAdam, RAdam
from chainrule.optim.adaptive import Adadelta, Adagrad, RMSprop
from chainrule.optim.averaging import AveragedModel, ExponentialMovingAverage, update_bn
from chainrule.optim.clipping import clip_grad_norm, clip_grad_value
from chainrule.optim.groups import Group
from chainrule.optim.lbfgs import LBFGS
from chainrule.optim.muon import Muon
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.plateau import ReduceLROnPlateau
from chainrule.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from chainrule.optim.schedules_combined import ChainedScheduler, SequentialLR
from chainrule.optim.schedules_cyclic import SWALR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from chainrule.optim.sgd import SGD
from chainrule.optim.signs import Lion, Rprop

__all__ = [
    "LAMB",
    "LBFGS",
    "SGD",
    "SWALR",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragedModel",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "Group",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "Lion",
    "MultiStepLR",
    "MultiplicativeLR",
    "Muon",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
    "lr_scheduler",
    "update_bn",
]
