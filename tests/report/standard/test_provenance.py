"""A report says where, when and with which versions it was made."""

import datetime
import os
import platform

import keras
import numpy as np
import tensorflow as tf

from tfcompress.report.report import Report
from tfcompress.report.standard.provenance import add_provenance


def test_machine_versions_and_date():
    report = Report("T")
    add_provenance(report, "mnist.npz, 10 samples")
    found = dict(report.sections[0].cells)
    assert found["data"] == "mnist.npz, 10 samples"
    assert found["Python"] == platform.python_version()
    assert (found["TensorFlow"], found["Keras"], found["NumPy"]) == (tf.__version__, keras.__version__, np.__version__)
    assert found["LiteRT"] and found["tfcompress"] and found["processor"]
    assert found["cores"] == str(len(os.sched_getaffinity(0)))
    assert platform.release() in found["system"]
    made = datetime.datetime.strptime(found["date"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=datetime.timezone.utc)
    assert abs(datetime.datetime.now(datetime.timezone.utc) - made) < datetime.timedelta(minutes=5)
