"""Pickles of release 0.1 name modules of then; each is found, as the module of today."""

import importlib
import json
import pathlib
import pickle
import subprocess
import sys

import pytest

import tfcompress

TABLE = pathlib.Path(tfcompress.__file__).with_name("moved_modules.json")
MOVED = json.loads(TABLE.read_text(encoding="utf-8"))


def test_every_old_name_is_todays_module():
    assert len(MOVED) > 200
    for old, now in MOVED.items():
        with pytest.warns(DeprecationWarning, match=f"tfcompress.{now} now"):
            found = importlib.import_module(f"tfcompress.{old}")
        assert found is importlib.import_module(f"tfcompress.{now}")
        del sys.modules[f"tfcompress.{old}"]


def test_a_pickle_of_the_first_release_is_read():
    schedule = tfcompress.schedules.linear(0.0, 0.5)
    content = pickle.dumps(schedule, protocol=0)
    now = b"tfcompress.schedules.shapes"
    assert now in content
    with pytest.warns(DeprecationWarning, match="schedules.shapes now"):
        assert pickle.loads(content.replace(now, b"tfcompress.facts.curves")) == schedule
    sys.modules.pop("tfcompress.facts.curves")


def test_names_of_folders_and_from_imports_work():
    program = "import tfcompress.deploy; from tfcompress.deploy import atomic; print(atomic.__name__)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "tfcompress.system.atomic"


@pytest.mark.parametrize("name", ["nothing", "deploy.nothing"])
def test_other_names_are_not_found(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"tfcompress.{name}")
