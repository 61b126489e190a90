"""The command `tfcompress`: one file per subcommand, flags by absl-py.

Importing it takes no TensorFlow with it; each command imports what it needs when it runs.
"""

from tfcompress.cli.entry import main

__all__ = ["main"]
