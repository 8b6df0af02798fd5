"""The choice of implementation: per function, restored, per thread, recorded; and the upstream faults it mends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from models import registry
from models.operators import backends, binding
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]

SHIFTED = "seqops shifted products (torch)"
LOOP, REFERENCE, FALLBACK = "seqops compiled loop (CPU)", "seqops reference loop", "transformers fallback (CPU)"
EVERYWHERE = ("fast", "reference", "package", "transformers")
EXPERTS = {
    "sorted": "seqops products grouped by expert (torch)",
    "transformers": "transformers grouped_mm",
    "package": "transformers grouped_mm",
    "batched": "transformers batched_mm",
    "loop": "transformers loop over experts",
}
FUNCTIONS_OF = {
    "mamba": {"conv", "scan"},
    "rwkv": {"wkv"},
    "jamba": {"conv", "scan", "experts", "attention"},
    "transformer": {"attention"},
}


def ids(count: int, batch: int = 1) -> torch.Tensor:
    return torch.stack([(torch.arange(count) * 37 + 11 + 5 * row) % 4096 for row in range(batch)])


def relative(x: torch.Tensor, reference: torch.Tensor) -> float:
    return ((x - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize("model", FUNCTIONS_OF)
def test_a_trace_says_what_ran_for_every_function(model: str, checkpoint_of: Loader) -> None:
    trace = registry.trace(checkpoint_of(model), "The wolf said to the King")
    assert set(trace.implementation) == FUNCTIONS_OF[model]
    wanted = {
        "conv": SHIFTED,
        "scan": LOOP,
        "wkv": LOOP,
        "experts": "seqops products grouped by expert (torch)",
        "attention": "torch scaled_dot_product_attention (CPU)",
    }
    assert all(ran == wanted[function] for function, ran in trace.implementation.items())


def test_decoding_records_its_own_functions(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("jamba")
    adapter = registry.adapter("jamba")
    with backends.recording() as used:
        _, cache = adapter.step(checkpoint, ids(5), None)
        adapter.step(checkpoint, ids(1), cache)
    assert used["scan_step"] == "seqops single step (torch)" and used["conv_step"] == SHIFTED


def test_one_token_of_rwkv_is_a_step(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("rwkv")
    adapter = registry.adapter("rwkv")
    with backends.recording() as used:
        _, cache = adapter.step(checkpoint, ids(5, batch=3), None)
        adapter.step(checkpoint, ids(1, batch=3), cache)
    assert used == {"wkv": LOOP, "wkv_step": "seqops single step (torch)"}


@pytest.mark.slow
def test_each_function_may_have_its_own_implementation(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("jamba")
    forward = registry.adapter("jamba").forward
    with torch.inference_mode():
        whole, _ = forward(checkpoint.model, ids(33), None, last_only=False)
        for function in ("conv", "scan", "experts"):
            for choice in backends.CHOICES if function == "experts" else EVERYWHERE:
                with backends.use(**{function: choice}), backends.recording() as used:
                    logits, _ = forward(checkpoint.model, ids(33), None, last_only=False)
                assert relative(logits, whole) < 1e-5, (function, choice)
                wanted = {"reference": REFERENCE, "transformers": FALLBACK}.get(choice, "seqops")
                if function == "experts":
                    wanted = EXPERTS.get(choice, wanted)
                assert used[function].startswith(wanted)
                assert all(ran != REFERENCE for other, ran in used.items() if other != function)


@pytest.mark.parametrize("model", ("mamba", "rwkv", "jamba"))
@pytest.mark.parametrize("choice", EVERYWHERE)
def test_steps_and_chunks_are_right_on_every_implementation(model: str, choice: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(model)
    adapter, prompt = registry.adapter(model), ids(23, batch=3)
    whole, _ = adapter.step(checkpoint, prompt, None)
    with backends.use(choice):
        cache = None
        for chunk in prompt.split((7, 1, 1, 11, 3), dim=1):
            logits, cache = adapter.step(checkpoint, chunk, cache)
    assert relative(logits, whole) < 1e-5


def test_experts_that_are_to_be_sorted_are_so_on_a_gpu_too() -> None:
    """Where nothing is asked for, a GPU groups them; what was asked for is not put aside."""
    there = SimpleNamespace(device=torch.device("cuda"))
    assert backends.resolve("experts", there) == "package"  # type: ignore[arg-type]
    with backends.use(experts="sorted"), backends.recording() as used:
        assert backends.resolve("experts", there) == "sorted"  # type: ignore[arg-type]
    assert used["experts"].startswith("seqops")


def test_the_choice_ends_with_its_block_also_by_an_error() -> None:
    tensor = torch.zeros(1)
    with backends.use("reference"):
        with pytest.raises(ZeroDivisionError), backends.use("transformers"):
            assert backends.resolve("wkv", tensor) == "transformers" and 1 / 0
        assert backends.resolve("wkv", tensor) == "reference"
    assert backends.resolve("wkv", tensor) == "fast"


def test_two_threads_choose_for_themselves(checkpoint_of: Loader) -> None:
    checkpoint, together = checkpoint_of("mamba"), Barrier(2)

    def run(choice: str) -> set[str]:
        seen: set[str] = set()
        with backends.use(choice), backends.recording() as used, torch.inference_mode():
            for _ in range(5):
                together.wait(30)
                used.clear()
                registry.adapter("mamba").forward(checkpoint.model, ids(12), None, last_only=True)
                seen |= set(used.values())
        return seen

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, ("reference", "transformers"))) == [{REFERENCE}, {FALLBACK}]


def test_an_unknown_choice_or_function_is_named() -> None:
    with pytest.raises(ValueError, match="'quick'"), backends.use("quick"):  # type: ignore[arg-type]
        pass
    with pytest.raises(ValueError, match="'quick'"), backends.use("quick", conv="fast"):  # type: ignore[arg-type]
        pass
    with pytest.raises(ValueError, match="'softmax'"), backends.use(softmax="fast"):
        pass
    with pytest.raises(ValueError, match="'batched' of scan"), backends.use(scan="batched"):
        pass
    with pytest.raises(ValueError, match="'loop' of all"), backends.use("loop"):
        pass


@pytest.mark.parametrize("configured", ("grouped_mm", "batched_mm", "eager"))
def test_experts_as_transformers_ships_them_are_what_the_configuration_names(
    configured: str, checkpoint_of: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own loop is only one of three, and since 5.23 not the one that runs unless it is asked for."""
    checkpoint, ran = checkpoint_of("jamba"), []
    assert checkpoint.model.config._experts_implementation == "grouped_mm"
    get = binding.ALL_EXPERTS_FUNCTIONS.get_interface

    def watched(name: str, default: Any) -> Any:
        ran.append(name)
        return get(name, default)

    monkeypatch.setattr(binding.ALL_EXPERTS_FUNCTIONS, "get_interface", watched)
    monkeypatch.setattr(checkpoint.model.config, "_experts_implementation_internal", configured)
    with backends.use("transformers"), backends.recording() as used:
        registry.adapter("jamba").step(checkpoint, ids(9), None)
    assert set(ran) == {configured}
    assert used["experts"] == (
        "transformers loop over experts" if configured == "eager" else f"transformers {configured}"
    )


def test_a_package_serves_what_it_can_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    there = SimpleNamespace(device=torch.device("cuda"))
    monkeypatch.setattr(backends, "package", lambda function: print if function == "scan" else None)
    monkeypatch.setattr(backends.metadata, "version", lambda _: "9.9")
    with backends.recording() as used:
        assert backends.resolve("scan", there) == "package"
        assert backends.resolve("conv", there) == "fast"
        assert backends.resolve("scan", torch.zeros(1)) == "fast"  # its kernel is for CUDA tensors
        with backends.carrying(torch.zeros(1)):
            assert backends.resolve("scan", there) == "fast"  # it cannot continue a state
    with backends.recording() as used:
        backends.resolve("scan", there)
    assert used == {"scan": "mamba-ssm 9.9 selective_scan_fn"}


def test_what_is_not_installed_is_no_package() -> None:
    assert backends.package("wkv") is None
    with pytest.raises(RuntimeError, match="'wkv'"):
        backends.packaged("wkv")
    assert callable(binding.upstream("scan"))


class TestUpstream:
    """Faults of transformers 5.23 that our adapters mend. When one of these fails, upstream has been mended."""

    @staticmethod
    def untouched(checkpoint: Checkpoint) -> torch.nn.Module:
        model = AutoModelForCausalLM.from_config(checkpoint.config).eval()
        model.load_state_dict(checkpoint.model.state_dict())
        return model

    @pytest.mark.parametrize(("kind", "argument"), (("mamba", "cache_params"), ("jamba", "past_key_values")))
    @torch.inference_mode()
    def test_a_second_chunk_starts_from_a_zero_state(self, kind: str, argument: str, checkpoint_of: Loader) -> None:
        model, prompt = self.untouched(checkpoint_of(kind)), ids(20)
        with backends.use("transformers"):
            whole = model(input_ids=prompt).logits[:, -1]
            first = model(input_ids=prompt[:, :16], use_cache=True)
            second = model(input_ids=prompt[:, 16:], use_cache=True, **{argument: getattr(first, argument)})
        assert relative(second.logits[:, -1], whole) > 1e-2

    @torch.inference_mode()
    def test_one_token_of_a_batch_mixes_its_rows(self, checkpoint_of: Loader) -> None:
        model, prompt = self.untouched(checkpoint_of("rwkv")), ids(9, batch=3)
        with backends.use("transformers"):
            whole = model(input_ids=prompt).logits[:, -1]
            first = model(input_ids=prompt[:, :8], use_cache=True)
            second = model(input_ids=prompt[:, 8:], state=first.state, use_cache=True).logits
        assert second.shape != (3, 1, model.config.vocab_size) or relative(second[:, -1], whole) > 1e-2
