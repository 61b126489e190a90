"""One file for each subcommand of `tfcompress`."""
