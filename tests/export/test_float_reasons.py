"""Why an operation stayed float, and what helps."""

import pytest
import tensorflow as tf

from tfcompress.export.float_reasons import stayed_float_reason


@pytest.mark.parametrize(("op", "first"), [("DIV", "2.20"), ("SQRT", "2.21")])
def test_an_old_converter_is_named_with_the_first_that_helps(op, first, monkeypatch):
    monkeypatch.setattr(tf, "__version__", "2.18.1")
    reason = stayed_float_reason(op, calibrated=True)
    assert "TensorFlow 2.18.1 leaves it float" in reason
    assert f"pip install 'tensorflow>={first}'" in reason and f"allow_float=['{op}']" in reason
    monkeypatch.setattr(tf, "__version__", f"{first}.0")
    assert "pip install" not in stayed_float_reason(op, calibrated=True)
