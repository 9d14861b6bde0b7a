"""Edgewright agent: runs models on a board and reports what it measured."""

__version__ = "0.1.0"
