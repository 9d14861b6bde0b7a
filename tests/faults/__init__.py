"""An agent that is killed at any point."""
