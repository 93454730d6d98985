"""The command and the photographs that the benchmarks share with the pipeline's tests."""

from tests.pipeline.conftest import photographs, rig  # noqa: F401 - fixtures
