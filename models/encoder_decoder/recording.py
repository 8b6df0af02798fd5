"""Run the small encoder-decoder over one input, step by step with its cache, and record what it looked at."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, MarianMTModel

from models.encoder_decoder.answers import expected
from models.encoder_decoder.batches import MOST, sources_of
from models.encoder_decoder.small import Small
from models.encoder_decoder.vocabulary import ToySource, tokens
from models.machine import threads
from models.records.encoder_decoder import DIMS, AttentionRecord, EncoderDecoderRun, StackSizes
from models.records.trace import NamedArray

Seen = dict[str, list[Tensor]]  # of one attention module: what each step added, (token, d_model), and its weights
PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}


def record(small: Small, source: ToySource, *, most: int = MOST) -> EncoderDecoderRun:
    """Let the model write greedily, at most so many tokens, and return everything the figures need of the run."""
    model = small.model
    found, _ = sources_of([source])
    stacks = model.model
    modules = {
        "encoder": [layer.self_attn for layer in stacks.encoder.layers],
        "decoder": [layer.self_attn for layer in stacks.decoder.layers],
        "cross": [layer.encoder_attn for layer in stacks.decoder.layers],
    }
    with small.lock, threads.limited(1), torch.inference_mode():
        with watching([module for group in modules.values() for module in group]) as seen:
            started = time.perf_counter()
            run = _write(model, found.to(model.device), most=most)
            seconds = time.perf_counter() - started
        kinds = {kind: _attention([seen[module] for module in group], model) for kind, group in modules.items()}
    names = tokens()
    head: Any = model.lm_head
    return EncoderDecoderRun(
        task=source.task,
        words=source.words,
        source=source.tokens,
        given=tuple(names[token] for token in run.given),
        written=tuple(names[token] for token in run.written),
        expected=expected(source),
        **kinds,
        logits=_named(torch.cat(run.logits), "step", "vocab"),
        hidden=_named(torch.cat(run.hidden), "step", "d_model"),
        head=_named(head.weight, "vocab", "d_model"),
        bias=_named(model.final_logits_bias[0], "vocab"),
        self_bytes=NamedArray(np.array(run.self_bytes), ("step",)),
        cross_bytes=NamedArray(np.array(run.cross_bytes), ("step",)),
        number_bytes=head.weight.element_size(),
        sizes=sizes_of(model),
        vocabulary=names,
        dtype=str(model.dtype).removeprefix("torch."),
        seconds=seconds,
    )


def sizes_of(model: MarianMTModel) -> StackSizes:
    """Read the shape of a model from its configuration; positions are no parameters."""
    config = model.config
    return StackSizes(
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        heads=config.decoder_attention_heads,
        d_model=config.d_model,
        ffn=config.decoder_ffn_dim,
        vocab=config.vocab_size,
        parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
    )


class _Run:
    """What one greedy run gives, an entry for each step."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.written: list[int] = []
        self.logits: list[Tensor] = []  # (1, vocab)
        self.hidden: list[Tensor] = []  # (1, d_model)
        self.self_bytes: list[int] = []
        self.cross_bytes: list[int] = []


def _write(model: MarianMTModel, ids: Tensor, *, most: int) -> _Run:
    """Read ids (1, l) once, then write token by token with the cache; of equal logits the lower id is written."""
    run = _Run()
    encoded = model.model.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    token = model.config.decoder_start_token_id
    while len(run.written) < most:
        told = model.model.decoder(
            input_ids=torch.tensor([[token]], device=ids.device),
            encoder_hidden_states=encoded,
            past_key_values=cache,
            use_cache=True,
        )
        hidden = told.last_hidden_state[0]  # (1, d_model)
        logits = model.lm_head(hidden) + model.final_logits_bias
        run.given.append(token)
        token = int(logits[0].argmax())
        run.written.append(token)
        run.hidden.append(hidden)
        run.logits.append(logits)
        run.self_bytes.append(cache_bytes(cache.self_attention_cache))
        run.cross_bytes.append(cache_bytes(cache.cross_attention_cache))
        if token == model.config.eos_token_id:
            break
    return run


def cache_bytes(cache: Any) -> int:
    """Count the bytes of the keys and values that a live cache holds."""
    held = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values) if tensor is not None]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


@contextmanager
def watching(modules: list[Any]) -> Iterator[dict[nn.Module, Seen]]:
    """Keep what attention modules compute in the block, for batch 1: queries, keys, values, weights, and output."""
    seen: dict[nn.Module, Seen] = {module: {} for module in modules}
    handles = []
    for module in modules:
        kept = seen[module]
        for projection, name in PROJECTIONS.items():
            handles.append(getattr(module, projection).register_forward_hook(_keep_output(kept, name)))
        handles.append(module.out_proj.register_forward_pre_hook(_keep_input(kept)))
        handles.append(module.register_forward_hook(_keep_weights(kept)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _keep_output(kept: Seen, name: str) -> Any:
    return lambda _module, _args, output: kept.setdefault(name, []).append(output[0])


def _keep_input(kept: Seen) -> Any:
    return lambda _module, args: kept.setdefault("output", []).append(args[0][0])


def _keep_weights(kept: Seen) -> Any:
    return lambda _module, _args, output: kept.setdefault("weights", []).append(output[1][0])  # (head, query, key)


def _attention(layers: list[Seen], model: MarianMTModel) -> AttentionRecord:
    """Join the steps of one kind of attention in every layer; what a step could not read has no weight."""
    heads = model.config.decoder_attention_heads
    width = model.config.d_model // heads
    found: dict[str, list[Tensor]] = {name: [] for name in DIMS}
    visible = torch.zeros(0)
    for seen in layers:
        weights = seen["weights"]  # a (head, query, key) for each step
        longest = max(one.shape[-1] for one in weights)
        found["weights"].append(torch.cat([nn.functional.pad(one, (0, longest - one.shape[-1])) for one in weights], 1))
        rows = [nn.functional.pad(torch.ones(one.shape[1:]), (0, longest - one.shape[-1])) for one in weights]
        visible = torch.cat(rows)
        for name in ("query", "key", "value", "output"):
            joined = torch.cat(seen[name])  # (token, d_model)
            found[name].append(joined.view(len(joined), heads, width).transpose(0, 1))
    found["query"] = [query * width**-0.5 for query in found["query"]]
    arrays = {name: _named(torch.stack(parts), *DIMS[name]) for name, parts in found.items() if name != "visible"}
    return AttentionRecord(visible=_named(visible.to(torch.uint8), *DIMS["visible"]), **arrays)


def _named(tensor: Tensor, *dims: str) -> NamedArray:
    kept = tensor.detach().cpu()
    return NamedArray(np.array((kept.float() if kept.is_floating_point() else kept).numpy()), dims)
