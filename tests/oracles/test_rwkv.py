"""RWKV-4 against its author's own inference code (the rwkv package), on our bundled weights."""

import copy
import math
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models import registry
from models.operators import backends
from models.tracing.adapter import Checkpoint

LOGITS, STATE = 2e-6, 2e-6  # both in float32, relative to the largest entry
EPS = torch.finfo(torch.float32).eps  # a key of size m is rounded by m EPS, which is the relative error of e^key
LENGTH = 47
NAMES = (  # transformers -> RWKV-LM, in the order they are replaced
    ("rwkv.embeddings.", "emb."),
    ("rwkv.ln_out.", "ln_out."),
    ("rwkv.blocks.", "blocks."),
    (".pre_ln.", ".ln0."),
    (".attention.", ".att."),
    (".feed_forward.", ".ffn."),
    (".time_mix_key", ".time_mix_k"),
    (".time_mix_value", ".time_mix_v"),
    (".time_mix_receptance", ".time_mix_r"),
)
STATES = ("ffn_xx", "att_xx", "aa", "bb", "pp")  # in the order of our cache
PLACES = {"att_xx": 0, "aa": 1, "bb": 2, "pp": 3, "ffn_xx": 4}  # theirs: five tensors (d,) per layer
KEY_SCALES = (1.0, 12.0)  # as trained, and with exponents that overflow without the running maximum
OVERFLOWS = math.log(torch.finfo(torch.float32).max)  # of e^key, about 88.7


class Theirs:
    """The author's model over one sequence at a time."""

    def __init__(self, model: Any, layers: int) -> None:
        self.model, self.layers = model, layers

    def __call__(self, ids: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Run ids (l,) after a state. Returns every token's logits (l, vocab) and the state after them."""
        logits, state = self.model.forward(ids.tolist(), None if state is None else list(state), full_output=True)
        return logits.view(len(ids), -1), state

    def part(self, state: list[Tensor], name: str) -> Tensor:
        """Return one kind of state of every layer (d, layers)."""
        return torch.stack([state[5 * layer + PLACES[name]] for layer in range(self.layers)], dim=-1)


def relative(x: Tensor, reference: Tensor) -> float:
    return ((x - reference).abs().max() / reference.abs().max()).item()


def converted(model: torch.nn.Module) -> dict[str, Tensor]:
    """Name the weights of a transformers RWKV-4 as RWKV-LM does; time_decay stays the logarithm that both store."""
    weights = {}
    for name, value in model.state_dict().items():
        renamed = reduce(lambda text, pair: text.replace(*pair), NAMES, name)
        weights[renamed] = value.detach().float().clone()
    return weights


@pytest.fixture(scope="module", params=KEY_SCALES, ids=lambda scale: f"keys x {scale:g}")
def pair(
    request: pytest.FixtureRequest, rwkv_model: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkpoint, Theirs]:
    checkpoint = registry.load("rwkv")
    model = copy.deepcopy(checkpoint.model)
    for name, weight in model.named_parameters():
        if name.endswith("attention.key.weight"):
            weight.mul_(request.param)
    path = tmp_path_factory.mktemp("rwkv") / "model.pth"
    torch.save(converted(model), path)
    found = Checkpoint("rwkv", checkpoint.architecture, model, None)
    return found, Theirs(rwkv_model(path), model.config.num_hidden_layers)


def prompts(batch: int, vocab: int) -> Tensor:
    """Return different token ids (batch, LENGTH) per row."""
    ids = torch.arange(batch * LENGTH).view(batch, LENGTH)
    return (ids * ids * 37 + ids * 101 + 11) % vocab


def equal_states(cache: Any, theirs: Theirs, states: list[list[Tensor]]) -> None:
    """Compare our cache of a batch with one state of theirs per row."""
    for name, ours in zip(STATES, registry.adapter("rwkv").cache_tensors(cache), strict=True):
        for row, state in enumerate(states):
            exponents = 4 if name in ("aa", "bb") else 0  # e^(key - max): two rounded on each side
            rounding = exponents * EPS * theirs.part(state, "pp").abs().max().item()
            assert relative(ours[row].float(), theirs.part(state, name)) < STATE + rounding, (name, row)


def test_the_larger_keys_overflow_without_the_running_maximum(pair: tuple[Checkpoint, Theirs]) -> None:
    """What the second of KEY_SCALES is for; with these weights its keys reach 120."""
    checkpoint, theirs = pair
    _, state = theirs(prompts(1, checkpoint.config.vocab_size)[0])
    key = theirs.model.w["blocks.0.att.key.weight"].abs().max()
    scaled = key > 2 * registry.load("rwkv").model.rwkv.blocks[0].attention.key.weight.abs().max()
    assert (theirs.part(state, "pp").max().item() > OVERFLOWS) == scaled


def test_every_weight_has_a_name_over_there(pair: tuple[Checkpoint, Theirs]) -> None:
    checkpoint, theirs = pair
    assert theirs.model.version == 4
    merged = {"blocks.0.ln0.weight", "blocks.0.ln0.bias"}  # into the embeddings, when the file is read
    assert set(converted(checkpoint.model)) == set(theirs.model.w) | merged


@pytest.mark.parametrize("choice", ("fast", "reference"))
@pytest.mark.parametrize("batch", (1, 3))
def test_the_whole_prompt(pair: tuple[Checkpoint, Theirs], batch: int, choice: backends.Choice) -> None:
    checkpoint, theirs = pair
    ids = prompts(batch, checkpoint.config.vocab_size)
    with backends.use(choice), torch.inference_mode():
        logits, cache = registry.adapter("rwkv").forward(checkpoint.model, ids, None, last_only=False)
    found = [theirs(row) for row in ids]
    for row, (expected, _) in enumerate(found):
        assert relative(logits[row], expected) < LOGITS, row
    equal_states(cache, theirs, [state for _, state in found])


@pytest.mark.parametrize("sizes", ([1] * LENGTH, [17, 1, 29], [1, 46]), ids=("tokens", "chunks", "first alone"))
@pytest.mark.parametrize("batch", (1, 3))
def test_continued_from_the_state(pair: tuple[Checkpoint, Theirs], batch: int, sizes: list[int]) -> None:
    """Both sides carry their own state, and are compared after every piece."""
    checkpoint, theirs = pair
    adapter, cache = registry.adapter("rwkv"), None
    states: list[Any] = [None] * batch
    for piece in prompts(batch, checkpoint.config.vocab_size).split(sizes, dim=1):
        logits, cache = adapter.step(checkpoint, piece, cache)
        for row in range(batch):
            expected, states[row] = theirs(piece[row], states[row])
            assert relative(logits[row], expected[-1]) < LOGITS, row
        equal_states(cache, theirs, states)


def test_their_state_continues_in_ours(pair: tuple[Checkpoint, Theirs]) -> None:
    """The states are interchangeable, tensor by tensor."""
    checkpoint, theirs = pair
    ids = prompts(1, checkpoint.config.vocab_size)[0]
    _, state = theirs(ids[:30])
    cache = [theirs.part(state, name)[None] for name in STATES]
    logits, _ = registry.adapter("rwkv").step(checkpoint, ids[None, 30:], cache)
    assert relative(logits[0], theirs(ids)[0][-1]) < LOGITS


def test_importing_it_leaves_the_numerics_of_torch_alone(pair: tuple[Checkpoint, Theirs]) -> None:
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.benchmark
