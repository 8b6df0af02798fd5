"""Energy of decoding on a stand-in counter: idle power is taken off, windows are long, a lost counter gives nothing."""

import itertools
import time

import pytest

from models import registry
from models.bench.measure import energy
from models.bench.measure.clock import Clock
from models.bench.measure.cuda_graphs import PlacedLayer
from models.bench.measure.loading import load
from models.records.cell import Cell


class Device:
    """A GPU that draws 100 W idle and 300 W while it decodes, on a clock of its own that sleeping and working move."""

    def __init__(self, monkeypatch):
        self.now, self.millijoules, self.worked = 50.0, 7_000_000.0, 0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "sleep", lambda seconds: self.draw(seconds, 100))

    def draw(self, seconds, watts):
        self.now += seconds
        self.millijoules += seconds * watts * 1e3

    def work(self):
        self.worked += 1
        self.draw(0.03, 300)

    def counter(self):
        return int(self.millijoules)


def test_what_decoding_adds_to_idle_is_counted(monkeypatch):
    device = Device(monkeypatch)
    found = energy.measure_energy(device.counter, device.work, tokens=8)
    assert found.idle_w == pytest.approx(100)
    assert found.joules_per_token == pytest.approx(200 * 0.03 / 8, rel=1e-3)
    assert energy.WINDOW_S <= found.window_s < energy.WINDOW_S + 0.05
    assert device.worked * 0.03 >= energy.SETTLE_S + energy.WINDOW_S


def test_work_longer_than_the_window_is_done_once(monkeypatch):
    device = Device(monkeypatch)
    found = energy.measure_energy(device.counter, lambda: device.draw(9.0, 300), tokens=3)
    assert found.window_s == pytest.approx(9.0)
    assert found.joules_per_token == pytest.approx(600, rel=1e-3)


@pytest.mark.parametrize("lost", range(4))
def test_a_counter_that_fails_meanwhile_gives_no_number(monkeypatch, lost):
    device, reads = Device(monkeypatch), itertools.count()
    assert (
        energy.measure_energy(lambda: None if next(reads) == lost else device.counter(), device.work, tokens=8) is None
    )


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
@pytest.mark.parametrize("architecture", registry.bundled())
def test_decoding_is_repeated_at_the_depth_of_the_cell(architecture, monkeypatch):
    clock = Clock(*(lambda cell: (cell, *load(cell)))(Cell(architecture, architecture, 20, decode_tokens=4)))
    depths, timed = [], Clock.timed

    def watching(self, logits, cache, steps):
        depths.append({layer.depth for layer in getattr(cache, "layers", ()) if isinstance(layer, PlacedLayer)})
        return timed(self, logits, cache, steps)

    monkeypatch.setattr(Clock, "timed", watching)
    again = energy._work(clock, None)
    for _ in range(3):
        again()
    assert depths == [{20} if "attention" in clock.adapter.parts else set()] * 3


def test_a_cpu_has_no_counter():
    cell = Cell("rwkv", "rwkv", 16)
    assert energy.decoding(Clock(cell, *load(cell)), None) is None
