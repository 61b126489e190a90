"""Energy of the processor packages: counters in a folder that looks like Linux' power zones."""

import pathlib

import pytest

from tfcompress.benchmarking.rapl import PowerMeter

SPAN = 262_143_328_850


def _zone(root, name, kind, energy, span=SPAN):
    folder = root / name
    folder.mkdir(parents=True)
    for file, value in (("name", kind), ("energy_uj", energy), ("max_energy_range_uj", span)):
        (folder / file).write_text(f"{value}\n")
    return folder / "energy_uj"


def _spend(meter, **counters):
    with meter:
        for path, value in counters.values():
            path.write_text(f"{value}\n")


def test_packages_are_added_up_and_their_parts_are_not(tmp_path):
    first = _zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    core = _zone(tmp_path, "intel-rapl:0:0", "core", 500)
    second = _zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    platform = _zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)
    other = _zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    meter = PowerMeter(tmp_path)
    _spend(
        meter,
        a=(first, 3_500_000),
        b=(core, 2_000_500),
        c=(second, 7_500_000),
        d=(platform, 99_000_000),
        e=(other, 3_500_000),
    )
    first.write_text("9000000")  # between the blocks other models run
    assert meter.per_run(10).joules == pytest.approx((2.5 + 0.5) / 10)
    _spend(meter, a=(first, 10_000_000))
    assert meter.per_run(20).joules == pytest.approx((2.5 + 0.5 + 1.0) / 20)
    assert meter.per_run(20).reason is None


def test_a_counter_that_begins_again_at_zero(tmp_path):
    counter = _zone(tmp_path, "intel-rapl:0", "package-0-die-0", SPAN - 1_500_000)
    meter = PowerMeter(tmp_path)
    _spend(meter, a=(counter, 500_000))
    assert meter.per_run(4).joules == pytest.approx((1.5 + 0.5) / 4)


def test_an_error_inside_of_a_block_goes_on_and_its_energy_counts(tmp_path):
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = PowerMeter(tmp_path)
    with pytest.raises(KeyError), meter:
        counter.write_text("2000000")
        raise KeyError("of the run")
    assert meter.per_run(1).joules == pytest.approx(2.0)


def test_no_counters_give_the_reason(tmp_path):
    _zone(tmp_path, "intel-rapl:0:0", "core", 500)
    for root in (tmp_path / "missing", tmp_path):
        meter = PowerMeter(root)
        with meter:
            pass
        assert meter.per_run(1).joules is None and "has no intel-rapl package" in meter.per_run(1).reason


def test_counters_for_root_alone_give_the_reason(tmp_path, monkeypatch):
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 500)
    read = pathlib.Path.read_text

    def refuse(path, *args, **kwargs):
        if path == counter:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "read_text", refuse)
    meter = PowerMeter(tmp_path)
    with meter:
        pass
    found = meter.per_run(3)
    assert found.joules is None and str(counter) in found.reason and "root alone" in found.reason


@pytest.mark.parametrize("damage", ["no number", None])
def test_counters_that_vanish_or_hold_no_number_give_the_reason(tmp_path, damage):
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 500)
    meter = PowerMeter(tmp_path)
    with meter:
        counter.unlink() if damage is None else counter.write_text(damage)
    assert meter.per_run(1).joules is None and "can't be read" in meter.per_run(1).reason


def test_a_counter_that_stands_still_is_no_measurement(tmp_path):
    _zone(tmp_path, "intel-rapl:0", "package-0", 500)
    meter = PowerMeter(tmp_path)
    with meter:
        pass
    assert meter.per_run(1).joules is None and "did not move" in meter.per_run(1).reason
