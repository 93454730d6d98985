"""Commands that the page runs to their end, one at a time: what they print meanwhile, and what they came to."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.serve.children import complaint, start_rig

LINES = 8  # the last ones that are shown


@dataclass
class Job:
    """A command that was started; ``result`` is what it printed as JSON, ``problem`` why there is none."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    is_over: bool = False
    result: Any = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"lines": list(self.lines), "is_over": self.is_over, "result": self.result, "problem": self.problem}


class Jobs:
    """The jobs of a page: the last one of each name."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def start(self, name: str, *args: str) -> None:
        """Start a `rig` command that prints JSON.

        Raises
        ------
        LabError
            If one runs already.
        """
        with self._lock:
            if any(not job.is_over for job in self._jobs.values()):
                raise LabError("something else is being done already. Wait until it is done.")
            job = self._jobs[name] = Job()
        threading.Thread(target=self._follow, args=(job, args), daemon=True).start()

    def find(self, name: str) -> Job | None:
        """The last job of a name."""
        return self._jobs.get(name)

    def _follow(self, job: Job, args: tuple[str, ...]) -> None:
        try:
            process = start_rig(self._lab, *args)
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            printed: list[str] = []
            reading = threading.Thread(target=printed.extend, args=(process.stdout,), daemon=True)
            reading.start()
            for line in process.stderr:
                job.lines.append(line.strip())
            reading.join()
            code = process.wait()
            text = "".join(printed)
            if text.strip():
                job.result = json.loads(text)  # also where something failed: it says what
            elif code:
                job.problem = complaint(job.lines) or "It ended without saying why."
        except (OSError, ValueError) as error:
            job.problem = f"It could not be done: {error}"
        finally:
            job.is_over = True
