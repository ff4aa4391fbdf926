"""``python -m bayescpt``: the command line."""

from __future__ import annotations

from bayescpt.cli import main

if __name__ == "__main__":
    main()
