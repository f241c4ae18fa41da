"""chainrule: deep learning by backpropagation, fast, see-through and small."""

__version__ = "0.1.0"
