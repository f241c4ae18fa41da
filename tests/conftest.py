"""What holds for all tests: drawn examples are the same in every run, and no example is timed."""

from hypothesis import settings

settings.register_profile("chainrule", deadline=None, derandomize=True)
settings.load_profile("chainrule")
