"""`python -m edgewright_agent` is `edgewright-agent`."""

from __future__ import annotations

import sys

from edgewright_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
