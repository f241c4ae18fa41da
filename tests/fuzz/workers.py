"""Processes that run cases, and may die of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds after which a case is taken to hang."""


class Worker:
    """A process that runs one case after another; it is started again when one has killed it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, **work: Any) -> str | None:
        """What is wrong with a case, if anything is."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(work) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            timer.cancel()
        if answer:
            return json.loads(answer)
        code = process.wait()
        self.close()
        if code == -signal.SIGKILL:
            return f"no answer within {PATIENCE:.0f} seconds"
        return f"the process died: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            assert self.process.stdin is not None and self.process.stdout is not None
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def _running(self) -> subprocess.Popen[str]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.running"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "CHAINRULE_CACHE_DIR": "", "OPENBLAS_NUM_THREADS": "1"},
            )
        return self.process
