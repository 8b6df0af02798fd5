"""Load the model of a cell: a checkpoint, a model as transformers ships it, or a shape with seeded random weights."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from models import describe, registry
from models.counting import accounting
from models.operators.backends import ATTENTION
from models.records.cell import Cell
from models.sources import weights
from models.tracing.adapter import Adapter, Checkpoint

SCALE = 0.02  # standard deviation of random weights, as transformers draws them for most models


def load(cell: Cell) -> tuple[Adapter, Checkpoint]:
    """Load a checkpoint, or give a shape seeded random weights: speed and memory do not depend on training."""
    source = describe.resolve(cell.source)
    if source.origin in ("catalogue", "ladder"):
        checkpoint = random_weights(cell, source.config)
    elif cell.view == "as_shipped":
        checkpoint = _as_shipped(cell)
    else:
        checkpoint = registry.load(cell.source, device=cell.device, dtype=cell.dtype)
    if cell.view == "architecture" and accounting.shape_of(checkpoint.config).count("attention"):
        checkpoint.model.set_attn_implementation(ATTENTION)  # sdpa, which says what it ran on
    return registry.adapter(checkpoint.architecture), checkpoint


def random_weights(cell: Cell, config: Mapping[str, Any]) -> Checkpoint:
    """Build a configuration with weights drawn from the cell's seed, all models at one scale.

    At the 0.1 that transformers draws Mamba's with, layers amplify rounding until even float32 differs by 1e-4.
    """
    made = AutoConfig.for_model(**config)
    adapter = registry.adapter_for(made, source=cell.source)
    torch.manual_seed(cell.seed)
    meant, made.initializer_range = getattr(made, "initializer_range", SCALE), SCALE
    with torch.device(cell.device):
        model = AutoModelForCausalLM.from_config(made, dtype=getattr(torch, cell.dtype))
    model.config.initializer_range = meant  # the configuration is that of the shape, and so is its hash
    model = model.eval().requires_grad_(False)
    return Checkpoint(cell.source, adapter.name, model if cell.view == "as_shipped" else adapter.prepare(model), None)


def _as_shipped(cell: Cell) -> Checkpoint:
    """Load a model as transformers gives it, faults included."""
    adapter = registry.adapter_for(weights.read_config(cell.source), source=cell.source)
    model = weights.read_model(cell.source, device=cell.device, dtype=cell.dtype, attends=False)
    return Checkpoint(cell.source, adapter.name, model, None)
