"""Whole models, each a page that can be read."""

from chainrule.nn.models.gpt import GPT

__all__ = ["GPT"]
