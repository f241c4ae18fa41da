"""Tables, images and texts, turned into what a network learns from."""

from chainrule.data.augment import Augment
from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.data.files import atomic_file, write_atomically
from chainrule.data.images import ImageFiles, find_images, read_images
from chainrule.data.preprocess import Preprocessor
from chainrule.data.read import read_table
from chainrule.data.schema import Column, Inferred, Schema, Task, infer_schema, infer_task
from chainrule.data.split import Split, folds, split
from chainrule.data.table import Kind, Table, Values
from chainrule.data.target import TargetEncoder, TargetScaler, target_from_json
from chainrule.data.text import BytePairTokenizer, CharTokenizer, Tokenizer, read_text, tokenizer_from_json
from chainrule.data.write import write_csv

__all__ = [
    "Arrays",
    "Augment",
    "BytePairTokenizer",
    "CharTokenizer",
    "Column",
    "ImageFiles",
    "Inferred",
    "Kind",
    "Preprocessor",
    "Schema",
    "Split",
    "Table",
    "TargetEncoder",
    "TargetScaler",
    "Task",
    "Tokenizer",
    "Values",
    "atomic_file",
    "batches",
    "find_images",
    "folds",
    "infer_schema",
    "infer_task",
    "read_images",
    "read_table",
    "read_text",
    "shuffled",
    "split",
    "target_from_json",
    "tokenizer_from_json",
    "write_atomically",
    "write_csv",
]
