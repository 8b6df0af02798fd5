"""Limits, choices and presets of a benchmark, and the validation of requested settings."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from models.errors import SettingError
from models.machine import facts
from models.records.cell import Cell

LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "context": (1, 1_048_576),
        "batch": (1, 256),
        "decode_tokens": (2, 1024),
        "rounds": (2, 50),
        "threads": (1, 1024),
        "cells": (1, 128),
        "seed": (0, 2**31 - 1),
        "budget_s": (1, 86_400),
        "timeout_s": (1, 86_400),
    }
)
REMEASURE_S = 3600  # for measuring a run again that was not measured on this machine
VIEWS = ("architecture", "as_shipped")
ATTENTION = ("auto", "flash", "efficient", "math", "cudnn")
KERNELS = ("fast", "reference")
# Ours sorts the tokens by expert; the last three are those of transformers. Without a choice it is the first on a CPU,
# grouped products on a GPU, and as shipped what transformers' configuration names.
EXPERTS = ("auto", "sorted", "grouped", "batched", "loop")
# What is wanted; budget_s keeps what it has time for. device and dtype: where they differ from the usual ones.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quick": {
            "contexts": (256, 512, 1024, 2048, 4096, 8192),
            "batches": (1,),
            "decode_tokens": 24,
            "rounds": 5,
            "budget_s": 90,
            "throughput": False,
        },
        "careful": {
            "contexts": (256, 512, 1024, 2048, 4096, 8192, 16384),
            "batches": (1, 8),
            "decode_tokens": 64,
            "rounds": 9,
            "budget_s": 600,
            "throughput": True,
        },
        "long": {
            "contexts": (1024, 2048, 4096, 8192, 16384, 32768, 65536),
            "batches": (1,),
            "decode_tokens": 32,
            "rounds": 5,
            "budget_s": 1800,
            "throughput": False,
        },
        "gpu": {
            "contexts": (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072),
            "batches": (1, 8, 32),
            "decode_tokens": 64,
            "rounds": 9,
            "budget_s": 600,
            "throughput": True,
            "device": "cuda:0",
            "dtype": "bfloat16",
        },
    }
)


def check_all(template: Cell, contexts: Sequence[int], batches: Sequence[int], *, cells: int) -> None:
    """Raise SettingError for the first of a plan's settings that is out of range, unknown, or not on this machine."""
    single = {name: getattr(template, name) for name in ("decode_tokens", "rounds", "threads", "seed")}
    many = {"batch": batches, "context": contexts}
    for name, value in (*single.items(), *((name, value) for name, values in many.items() for value in values)):
        check(name, value)
    check("cells", cells if contexts else 0)
    if template.threads > facts.usable_cores():
        cores = facts.usable_cores()
        raise setting_error(
            "threads", template.threads, f"threads is {template.threads}, more than the {cores} cores there are"
        )
    for name, value, choices in (
        ("view", template.view, VIEWS),
        ("attention", template.attention, ATTENTION),
        ("kernels", template.kernels, KERNELS),
        ("experts", template.experts, EXPERTS),
    ):
        if value not in choices:
            raise setting_error(name, value, f"{name} is {value!r}: choose one of {', '.join(choices)}")
    check_device(template.device)


def check_device(device: str) -> None:
    """Raise SettingError for a device that is not on this machine."""
    if device not in facts.devices():
        here = ", ".join(facts.devices())
        message = f"device {device!r} is not on this machine; there are {here}"
        raise SettingError("errors.device_missing", message, device=device)


def check(name: str, value: float) -> None:
    """Raise SettingError for a number outside its limits."""
    low, high = LIMITS[name]
    if not low <= value <= high:
        raise SettingError(
            "errors.setting_range",
            f"{name} is {value}; it must be from {low} to {high}",
            name=name,
            value=value,
            low=low,
            high=high,
        )


def setting_error(name: str, value: object, message: str) -> SettingError:
    """Make the error of a setting that is not among its choices."""
    return SettingError("errors.setting_value", message, name=name, value=value)
