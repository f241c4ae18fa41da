"""Optimizers: how parameters follow from gradients."""

from chainrule.optim.adam import Adam, AdamW
from chainrule.optim.adam_kin import LAMB, Adamax, NAdam, RAdam
from chainrule.optim.adaptive import Adadelta, Adagrad, RMSprop
from chainrule.optim.clipping import clip_grad_norm, clip_grad_value
from chainrule.optim.groups import Group
from chainrule.optim.muon import Muon
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.sgd import SGD
from chainrule.optim.signs import Lion, Rprop

__all__ = [
    "LAMB",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Group",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "clip_grad_norm",
    "clip_grad_value",
]
