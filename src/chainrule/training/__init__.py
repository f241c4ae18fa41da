"""Training: the loop, what happens between its steps, and networks for tables, images and texts."""

from chainrule.training.callbacks import BestWeights, Callback, EarlyStopping, TimeLimit
from chainrule.training.history import History
from chainrule.training.image_settings import ImageSettings
from chainrule.training.images import ImageModel, ImageRun, train_images
from chainrule.training.language import LanguageModel, LanguageRun, LanguageSettings, train_text
from chainrule.training.settings import Settings
from chainrule.training.tabular import TableModel, TableRun, train_table
from chainrule.training.trainer import Trainer

__all__ = [
    "BestWeights",
    "Callback",
    "EarlyStopping",
    "History",
    "ImageModel",
    "ImageRun",
    "ImageSettings",
    "LanguageModel",
    "LanguageRun",
    "LanguageSettings",
    "Settings",
    "TableModel",
    "TableRun",
    "TimeLimit",
    "Trainer",
    "train_images",
    "train_table",
    "train_text",
]
