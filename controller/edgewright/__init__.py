"""Edgewright, the desktop controller: compresses networks, pushes them to boards, measures them there."""

__version__ = "0.1.0"
