"""Draws the README's picture from a real quickstart: `.venv/bin/python scripts/picture.py HOME`.

The output is what `edgewright quickstart` printed, in a drawn terminal window, as an SVG that needs no network.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "quickstart.svg"
WIDTH = 132


def main(home: Path) -> None:
    command = [sys.executable, "-c", "from edgewright.cli.app import main; main()", "--home", str(home), "quickstart"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), legacy_windows=False)
    console.print(Text("$ make quickstart", style="bold green"))
    for line in dict.fromkeys(steps):
        console.print(Text(line, style="dim"))
    for line in done.stdout.splitlines():
        console.print(Text(line.replace(str(home), "out/quickstart").rstrip()))
    # The fonts of the template are fetched from the network; any monospaced one will do.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(console.export_svg(title="edgewright", code_format=template), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
