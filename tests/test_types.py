"""mypy is strict for every module with public names; it runs in `.ci/run`, not here."""

import configparser
import pathlib

import tfcompress

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_modules_with_public_names_are_checked_strictly():
    config = configparser.ConfigParser()
    config.read(ROOT / ".mypy.ini", encoding="utf-8")
    name, options = next((name, config[name]) for name in config.sections() if name.startswith("mypy-tfcompress,"))
    strict = set(name.removeprefix("mypy-").split(","))
    assert options.getboolean("disallow_untyped_defs") and options.getboolean("disallow_incomplete_defs")
    homes = {f"tfcompress.{home}" if home else f"tfcompress.{name}.*" for name, home in tfcompress._HOMES.items()}
    assert homes - strict == set()


def test_the_whole_package_is_checked():
    config = configparser.ConfigParser()
    config.read(ROOT / ".mypy.ini", encoding="utf-8")
    assert config["mypy"]["files"] == "tfcompress"
    assert config["mypy"].getboolean("check_untyped_defs")
    assert not [name for name in config.sections() if config[name].getboolean("ignore_errors", fallback=False)]
