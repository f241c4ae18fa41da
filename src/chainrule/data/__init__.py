"""Tables, read from files or made of arrays, turned into what a network learns from."""

from chainrule.data.batches import Arrays, batches, shuffled
from chainrule.data.files import atomic_file, write_atomically
from chainrule.data.preprocess import Preprocessor
from chainrule.data.read import read_table
from chainrule.data.schema import Column, Inferred, Schema, Task, infer_schema, infer_task
from chainrule.data.split import Split, folds, split
from chainrule.data.table import Kind, Table, Values
from chainrule.data.target import TargetEncoder, TargetScaler, target_from_json
from chainrule.data.write import write_csv

__all__ = [
    "Arrays",
    "Column",
    "Inferred",
    "Kind",
    "Preprocessor",
    "Schema",
    "Split",
    "Table",
    "TargetEncoder",
    "TargetScaler",
    "Task",
    "Values",
    "atomic_file",
    "batches",
    "folds",
    "infer_schema",
    "infer_task",
    "read_table",
    "shuffled",
    "split",
    "target_from_json",
    "write_atomically",
    "write_csv",
]
