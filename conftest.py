"""What holds for all tests and examples: compiled code is kept for one test run alone, and not where the user's is."""

import atexit
import os
import shutil
import tempfile

if "PYTEST_XDIST_WORKER" not in os.environ:  # workers take over what is set here
    folder = tempfile.mkdtemp(prefix="chainrule-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["CHAINRULE_CACHE_DIR"] = folder
