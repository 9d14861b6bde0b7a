"""The lanes use the agent's tiny model and its samples."""

from tests.agent.conftest import relu, samples

__all__ = ["relu", "samples"]
