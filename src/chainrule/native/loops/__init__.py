"""Loops of operations that are more than elementwise: reading and adding at indices, sorting, running sums, bits."""
