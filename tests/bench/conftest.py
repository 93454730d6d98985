"""The command and the photographs that the benchmarks share with the pipeline's tests."""

from tests.pipeline.conftest import made_lab, photographs, rig, scanned  # noqa: F401 - fixtures
from tests.pipeline.serve.conftest import browser  # noqa: F401
