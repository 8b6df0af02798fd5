"""Switches against models with edited weights, fresh starts and plain loops; off, they change no bit."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from switched_models import edited
from torch import Tensor

from models import registry
from models.errors import ContextscopeError
from models.operators import backends
from models.reconstruction import reconstruction_errors
from models.switches import context
from models.switches.context import Means
from models.switches.value import NONE, Switch, Switches, union
from models.tracing.adapter import Checkpoint
from models.tracing.mixing import channel_mixing

TEXTS = ("The wolf was hungry and he ran.", "늑대는 배가 고팠다.")
LENGTH, AT = 17, 7  # tokens of a run, and where something is forgotten
Loader = Callable[[str], Checkpoint]

_measured: dict[int, Means] = {}


def ids_of(checkpoint: Checkpoint, length: int = LENGTH) -> Tensor:
    return (torch.arange(length)[None] * 37 + 11) % checkpoint.config.vocab_size


def run(checkpoint: Checkpoint, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        return registry.adapter(checkpoint.architecture).forward(checkpoint.model, ids, None, last_only=False)[0]


def means_of(checkpoint: Checkpoint) -> Means:
    if id(checkpoint) not in _measured:  # checkpoint_of keeps them
        _measured[id(checkpoint)] = registry.means_of(checkpoint, TEXTS)
    return _measured[id(checkpoint)]


def every_switch(checkpoint: Checkpoint) -> Iterator[Switch]:
    """Yield one switch of every kind and how, in the last layer that has it and, where it has no index, in all."""
    for offer in registry.switches_of(checkpoint):
        index = AT if offer.kind == "forget" else min(1, offer.count - 1) if offer.count else -1
        for how in offer.hows:
            yield Switch(offer.kind, offer.layers[-1], index, how)
            yield Switch(offer.kind, -1, index, how)


def relative(x: Tensor, y: Tensor) -> float:
    return float((x - y).abs().max() / y.abs().max())


def test_off_is_the_same_to_the_last_bit(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    ids = ids_of(checkpoint)
    plain = run(checkpoint, ids)
    with context.use(NONE):
        assert context.using() is None
        assert torch.equal(run(checkpoint, ids), plain)
    with context.use(Switches.of(Switch("mixer", 0))):
        assert not torch.equal(run(checkpoint, ids), plain)
    assert torch.equal(run(checkpoint, ids), plain)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in checkpoint.model.modules())


def test_each_equals_a_model_with_edited_weights(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    ids, means = ids_of(checkpoint), means_of(checkpoint)
    plain, seen = run(checkpoint, ids), set()
    for switch in every_switch(checkpoint):
        if switch.kind == "forget" or (switch.kind, switch.how) == ("decay", "mean"):
            continue  # no weights do this: below
        known = run(edited(checkpoint, switch, {i: dict(m) for i, m in means.layers.items()}), ids)
        with context.use(Switches.of(switch), means=means):
            found = run(checkpoint, ids)
        assert relative(found, known) < 2e-5, switch.code
        assert relative(found, plain) > 1e-6, switch.code
        seen.add(switch.kind)
    assert len(seen) >= 3


def test_a_chunked_run_with_a_switch_equals_the_whole_one(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    adapter, ids, means = registry.adapter(checkpoint.architecture), ids_of(checkpoint), means_of(checkpoint)
    for switch in every_switch(checkpoint):
        chosen = Switches.of(switch)
        with context.use(chosen, means=means):
            whole = run(checkpoint, ids)
        cache, parts, start = None, [], 0
        for chunk in ids.split((6, 1, 1, 2, 1, 6), dim=1):  # AT stands in a step of one token
            with context.use(chosen, means=means, start=start), torch.inference_mode():
                logits, cache = adapter.forward(checkpoint.model, chunk, cache, last_only=False)
            parts.append(logits)
            start += chunk.shape[1]
        assert relative(torch.cat(parts, 1), whole) < 2e-5, switch.code


def test_forgetting_leaves_what_came_before_and_starts_anew(name: str, checkpoint_of: Loader) -> None:
    """From the forgotten token on the run is one of the rest of the text alone.

    An attention layer keeps its keys and counts positions on: for rotated and absent positions that is the same, for
    learned ones the rest of the text has to stand at its old positions. Experts run token by token, since the bits of a
    product depend on how many tokens an expert gets at once.
    """
    checkpoint = checkpoint_of(name)
    ids = ids_of(checkpoint)
    with backends.use(experts="reference"):
        with context.use(Switches.of(Switch("forget", index=AT))):
            found = run(checkpoint, ids)
        plain = run(checkpoint, ids)
    assert torch.equal(found[:, :AT], plain[:, :AT])
    if checkpoint.config.model_type == "gpt2":
        positions = torch.arange(AT, LENGTH)[None]
        with torch.inference_mode():
            fresh = checkpoint.model(input_ids=ids[:, AT:], position_ids=positions).logits
        assert relative(run(checkpoint, ids[:, AT:]), fresh) > 1e-4
    else:
        fresh = run(checkpoint, ids[:, AT:])
    assert relative(found[:, AT:], fresh) < 2e-5
    assert relative(found[:, AT:], plain[:, AT:]) > 1e-4


@pytest.mark.parametrize("at", (1, AT, LENGTH - 1))
def test_forgetting_in_one_attention_layer_hides_the_earlier_keys(
    attentive: str, at: int, checkpoint_of: Loader
) -> None:
    checkpoint = checkpoint_of(attentive)
    first = next(o for o in registry.switches_of(checkpoint) if o.kind == "head").layers[0]
    with context.use(Switches.of(Switch("forget", first, at))):
        layer = registry.trace(checkpoint, TEXTS[0] * 2).layer(first)
    plain = registry.trace(checkpoint, TEXTS[0] * 2).layer(first)
    seen = plain.part("visible").astype(bool)
    seen[at:, :at] = False
    odds = np.where(seen, np.exp(plain.part("attention_logits").astype(np.float64)), 0)
    assert np.allclose(layer.part("attention"), odds / odds.sum(-1, keepdims=True), atol=1e-6)
    assert max(reconstruction_errors(layer).values()) < 1e-5


@pytest.mark.parametrize("how", ("forget", "mean", "keep"))
def test_a_scan_that_forgets_or_has_its_decay_frozen_is_this_loop(
    selective: str, how: str, checkpoint_of: Loader
) -> None:
    checkpoint = checkpoint_of(selective)
    means = means_of(checkpoint)
    offer = next(o for o in registry.switches_of(checkpoint) if o.kind == "decay")
    index = offer.layers[0]
    switch = Switch("forget", index, AT) if how == "forget" else Switch("decay", index, how=how)  # type: ignore[arg-type]
    plain = registry.trace(checkpoint, TEXTS[0] * 2).layer(index)
    with context.use(Switches.of(switch), means=means):
        found = registry.trace(checkpoint, TEXTS[0] * 2).layer(index)
    part = {name: plain.part(name).astype(np.float64)
            for name in ("dt", "decay_rates", "write_proj", "read_proj", "skip", "scan_input", "gate")}  # fmt: skip
    fixed = means.of(index)["step"].double().numpy()
    h, rows = np.zeros_like(part["decay_rates"]), []
    end = AT if how == "forget" else len(part["dt"])  # from there on the convolution has forgotten too
    for t in range(end):
        dt = part["dt"][t]
        keep = {"mean": np.exp(fixed[:, None] * part["decay_rates"]), "keep": 1.0}.get(
            how, np.exp(dt[:, None] * part["decay_rates"])
        )
        h = keep * h + (dt * part["scan_input"][t])[:, None] * part["write_proj"][t]
        rows.append((h @ part["read_proj"][t] + part["skip"] * part["scan_input"][t]) * part["gate"][t])
    known, drawn = np.array(rows), found.part("mixer_output")[:end]
    assert np.abs(drawn - known).max() / np.abs(known).max() < 1e-5
    assert "state" not in found.parts


def test_everything_off_is_the_embedding_alone(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    ids, means = ids_of(checkpoint), means_of(checkpoint)
    everything = union(Switches.of(switch) for switch in every_switch(checkpoint))
    with context.use(everything, means=means):
        found = run(checkpoint, ids)
    alone = union(Switches.of(Switch("mixer")) if one == "mixer" else Switches.of(Switch("feed_forward"))
                  for one in ("mixer", "feed_forward")
                  if any(o.kind == one for o in registry.switches_of(checkpoint)))  # fmt: skip
    with context.use(alone):
        known = run(checkpoint, ids)
    assert torch.isfinite(found).all()
    assert torch.equal(found, known)
    adapter, stream = registry.adapter(checkpoint.architecture), []
    start = adapter.stream_start(checkpoint.model) or adapter.blocks(checkpoint.model)[0]
    handle = start.register_forward_hook(
        lambda module, args, out: stream.append(out if adapter.stream_start(checkpoint.model) else args[0])
    )
    with torch.inference_mode():
        run(checkpoint, ids)
        handle.remove()
        norm, head = adapter.final_norm(checkpoint.model), adapter.unembed(checkpoint.model)
        assert relative(found, head(norm(stream[0]))) < 1e-6


def test_blocks_add_up_and_end_also_by_an_error(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("seeded-llama")
    ids = ids_of(checkpoint)
    both = Switches.of(Switch("head", 0, 1), Switch("feed_forward", 2))
    with context.use(both):
        known = run(checkpoint, ids)
    with context.use(Switches.of(Switch("head", 0, 1))), context.use(Switches.of(Switch("feed_forward", 2))):
        assert context.chosen() == both
        assert torch.equal(run(checkpoint, ids), known)
    with pytest.raises(ZeroDivisionError), context.use(both):
        raise ZeroDivisionError
    assert context.chosen() == NONE
    with pytest.raises(ValueError, match=r"no head\.9"), context.use(Switches.of(Switch("head", 9, 0))):
        run(checkpoint, ids)
    assert context.here() is None
    assert not any(module._forward_hooks for module in checkpoint.model.modules())


def test_threads_with_different_switches_do_not_meet(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    ids, means = ids_of(checkpoint), means_of(checkpoint)
    sets = [NONE, *(Switches.of(one) for one in list(every_switch(checkpoint))[:: 3 if "seeded" in name else 9])][:4]

    def alone(chosen: Switches) -> Tensor:
        with context.use(chosen, means=means):
            return run(checkpoint, ids)

    known, together = [alone(one) for one in sets], Barrier(len(sets))

    def several(chosen: Switches) -> list[Tensor]:
        together.wait(60)
        return [alone(chosen) for _ in range(4)]

    with ThreadPoolExecutor(len(sets)) as pool:
        for found, expected in zip(pool.map(several, sets), known, strict=True):
            assert all(torch.equal(one, expected) for one in found)


def test_means_are_those_of_the_recorded_parts(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    means = means_of(checkpoint)
    traces = [registry.trace(checkpoint, text) for text in TEXTS]
    parts = {"dt": "step", "write_proj": "write", "read_proj": "read", "gate": "gate", "receptance": "receptance",
             "mixer_output": "projection"}  # fmt: skip
    for index, found in means.layers.items():
        layers = [trace.layer(index) for trace in traces]
        for part, measured in parts.items():
            if part in layers[0].parts:
                known = np.concatenate([layer.part(part) for layer in layers]).mean(0)
                assert np.allclose(found[measured].numpy(), known, rtol=1e-4, atol=1e-5), (index, part)
        if "attention" in layers[0].parts:
            outputs = [layer.part("head_output") for layer in layers]  # (head, token, d_head)
            known = np.concatenate([one.transpose(1, 0, 2).reshape(one.shape[1], -1) for one in outputs]).mean(0)
            assert np.allclose(found["projection"].numpy(), known, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="not measured"), context.use(Switches.of(Switch("mixer", how="mean"))):
        pass


def test_frozen_selectivity_makes_hidden_attention_a_function_of_distance(
    selective: str, checkpoint_of: Loader
) -> None:
    checkpoint = checkpoint_of(selective)
    offer = next(o for o in registry.switches_of(checkpoint) if o.kind == "selectivity")

    def matrices(chosen: Switches) -> np.ndarray:
        with context.use(chosen, means=means_of(checkpoint)):
            trace = registry.trace(checkpoint, TEXTS[0] * 2)
        return np.array(channel_mixing(trace.layer(offer.layers[-1]), range(4)).values)

    def spread(matrix: np.ndarray) -> float:
        """Return how far the entries of one distance are apart, of all distances the most."""
        return max(float(np.ptp(np.diagonal(matrix, -n))) for n in range(len(matrix))) / float(np.abs(matrix).max())

    assert max(spread(one) for one in matrices(Switches.of(Switch("selectivity")))) < 1e-5
    assert max(spread(one) for one in matrices(NONE)) > 1e-3


def test_a_trace_with_a_switch_rebuilds_what_the_run_computed(name: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(name)
    if not name.startswith("seeded") and checkpoint.architecture not in ("mamba", "rwkv"):
        pytest.skip("the seeded ones show the same")
    for switch in list(every_switch(checkpoint))[:: 1 if name.startswith("seeded") else 3]:
        with context.use(Switches.of(switch), means=means_of(checkpoint)):
            trace = registry.trace(checkpoint, TEXTS[0])
            again = run(checkpoint, torch.tensor([[token.id for token in trace.tokens]]))
        assert np.array_equal(trace.logits.values, again[0].numpy()), switch.code
        for layer in trace:
            errors = reconstruction_errors(layer)
            assert all(error < 1e-4 for error in errors.values()), (switch.code, layer.index, errors)


def test_a_continued_cache_needs_its_position_to_forget(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("seeded-rwkv")
    adapter, ids = registry.adapter("rwkv"), ids_of(checkpoint)
    _, cache = adapter.step(checkpoint, ids[:, :4], None)
    with context.use(Switches.of(Switch("forget", index=2))), pytest.raises(ValueError, match="position"):
        adapter.step(checkpoint, ids[:, 4:], cache)


def test_codes_are_read_back_and_nothing_else_is() -> None:
    chosen = Switches.of(Switch("head", 3, 1, "mean"), Switch("forget", index=12), Switch("expert", 1, 0, "force"))
    assert Switches.read(chosen.code) == chosen
    assert hash(Switches.read(chosen.code)) == hash(chosen)
    assert Switches.read("") == NONE and not NONE and NONE.code == ""
    for wrong in ("head", "head.1.*.zero", "mixer.1.2.zero", "mixer.1.*.open", "magic.1.*.zero", "head.-1.1.zero",
                  "head.١.1.zero", "channels.0.8.zero", "head.1.1.zero~" * 9 + "mixer.0.*.zero"):  # fmt: skip
        with pytest.raises(ValueError):
            Switches.read(wrong)


def test_offers_are_made_by_parts(checkpoint_of: Loader) -> None:
    kinds = {name: {offer.kind: offer for offer in registry.switches_of(checkpoint_of(f"seeded-{name}"))}
             for name in ("llama", "mixtral", "mamba", "rwkv", "jamba")}  # fmt: skip
    assert set(kinds["llama"]) == {"layer", "mixer", "feed_forward", "head", "forget"}
    assert set(kinds["mixtral"]) == {*kinds["llama"], "expert"}
    assert set(kinds["mamba"]) == {"mixer", "channels", "convolution", "gate", "selectivity", "step", "write", "read",
                                   "decay", "forget"}  # fmt: skip
    assert set(kinds["rwkv"]) == {"layer", "mixer", "feed_forward", "channels", "token_shift", "receptance", "decay",
                                  "forget"}  # fmt: skip
    assert set(kinds["jamba"]) == {*kinds["mamba"], *kinds["mixtral"]}
    assert kinds["llama"]["head"].count == 4 and kinds["jamba"]["head"].layers == (2,)
    assert kinds["rwkv"]["decay"].hows == ("keep",) and kinds["mamba"]["decay"].hows == ("mean", "keep")


def test_a_text_that_cannot_be_run_is_explained(checkpoint_of: Loader) -> None:
    with pytest.raises(ContextscopeError):
        registry.means_of(checkpoint_of("seeded-llama"), ["  "])
