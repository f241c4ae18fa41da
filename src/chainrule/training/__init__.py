"""Training: the loop, what happens between its steps, and networks for tables."""

from chainrule.training.callbacks import BestWeights, Callback, EarlyStopping, TimeLimit
from chainrule.training.history import History
from chainrule.training.settings import Settings
from chainrule.training.tabular import TableModel, TableRun, train_table
from chainrule.training.trainer import Trainer

__all__ = [
    "BestWeights",
    "Callback",
    "EarlyStopping",
    "History",
    "Settings",
    "TableModel",
    "TableRun",
    "TimeLimit",
    "Trainer",
    "train_table",
]
