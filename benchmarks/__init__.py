"""How fast chainrule is beside its peers, measured in turn on the same work. `make bench` runs it."""
