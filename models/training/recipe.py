"""Train the bundled models: one command, one seed, the same tokens in the same order for every architecture."""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from models import binding  # noqa: F401 - binds the fast operators
from models.errors import SettingError
from models.training import card, corpus, tokenizer
from models.training.shapes import BUILDERS

OUT = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run."""

    vocab: int = 4096
    context: int = 256
    batch: int = 16
    steps: int = 700
    warmup: int = 60
    lr: float = 2.5e-3
    lr_end: float = 2.5e-4
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    seed: int = 20261122
    validation_rows: int = 96


DEFAULTS = Recipe()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m models train`."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder with stories_en.txt and reviews_ko.txt")
    parser.add_argument("--out", type=Path, default=OUT, help="where the checkpoint folders go (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=sorted(BUILDERS), help="train these architectures (default: all)")
    parser.add_argument("--steps", type=int, default=DEFAULTS.steps, help="optimiser steps (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=DEFAULTS.batch, help="rows per step (default: %(default)s)")
    parser.add_argument("--context", type=int, default=DEFAULTS.context, help="tokens per row (default: %(default)s)")
    parser.add_argument("--vocab", type=int, default=DEFAULTS.vocab, help="tokenizer entries (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=DEFAULTS.lr, help="peak learning rate (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=DEFAULTS.seed, help="seed of weights and order (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads, 0 for torch's choice (default: %(default)s)"
    )


def main(args: argparse.Namespace) -> int:
    """Train the tokenizer if it is not there, then every architecture asked for."""
    for name, low in (("steps", 1), ("batch", 1), ("context", 1), ("vocab", 257)):
        if (value := getattr(args, name)) < low:
            message = f"--{name} must be at least {low}, got {value}"
            raise SettingError("setting_range", message, name=name, value=value, low=low, high="any")
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = Recipe(
        vocab=args.vocab, context=args.context, batch=args.batch, steps=args.steps, lr=args.lr, seed=args.seed,
        warmup=min(DEFAULTS.warmup, max(1, args.steps // 10)),
    )  # fmt: skip
    texts = corpus.read(args.corpus)
    shared = _tokenizer(args.out / "tokenizer", texts, recipe.vocab)
    streams = {text.language: corpus.encode(shared, text.train, language=text.language) for text in texts}
    rows = corpus.windows(list(streams.values()), context=recipe.context, start=shared.bos_token_id, seed=recipe.seed)
    for name in args.only or BUILDERS:
        train(name, recipe, rows, texts, shared, args.out / name)
    return 0


def train(
    name: str,
    recipe: Recipe,
    rows: npt.NDArray[np.int32],
    texts: tuple[corpus.Text, ...],
    shared: PreTrainedTokenizerFast,
    folder: Path,
) -> dict[str, Any]:
    """Train one architecture and save it in transformers format, half precision, with its card and log."""
    torch.manual_seed(recipe.seed)
    model = BUILDERS[name](len(shared)).train()
    optimizer = torch.optim.AdamW(_groups(model, recipe), lr=recipe.lr, betas=recipe.betas)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (folder / "log.jsonl").open("w", encoding="utf-8") as log:
        for step in range(recipe.steps):
            lr = _learning_rate(step, recipe)
            for group in optimizer.param_groups:
                group["lr"] = lr
            batch = torch.from_numpy(_batch(rows, step, recipe.batch)).long()
            loss = _loss(model, batch, training=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if step % 10 == 0 or step == recipe.steps - 1:
                seconds = time.monotonic() - started
                row = {"step": step, "tokens": (step + 1) * batch[:, 1:].numel(), "loss": round(loss.item(), 4),
                       "lr": lr, "grad_norm": round(float(norm), 3), "seconds": round(seconds, 1)}  # fmt: skip
                log.write(json.dumps(row) + "\n")
                log.flush()
                left = seconds / (step + 1) * (recipe.steps - step - 1)
                print(
                    f"{name} step {step + 1}/{recipe.steps} loss {loss.item():.3f} {left:.0f} s left", file=sys.stderr
                )
    model = model.half().eval()
    model.save_pretrained(folder, safe_serialization=True)
    shared.save_pretrained(folder)
    bits = {text.language: bits_per_byte(model.float(), shared, text, recipe) for text in texts}
    facts = {
        "architecture": name,
        "recipe": asdict(recipe),
        "tokens_seen": recipe.steps * recipe.batch * recipe.context,
        "seconds": round(time.monotonic() - started, 1),
        "validation_bits_per_byte": bits,
        "corpus_sha256": {text.language: text.sha256 for text in texts},
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    card.write(folder, facts)
    return facts


def bits_per_byte(model: PreTrainedModel, shared: PreTrainedTokenizerFast, text: corpus.Text, recipe: Recipe) -> float:
    """Measure -log2 p of held-out text per UTF-8 byte, over evenly spaced rows of recipe.context tokens."""
    stream = corpus.encode(shared, text.validation, language=text.language)
    rows = corpus.windows([stream], context=recipe.context, start=shared.bos_token_id, seed=recipe.seed)
    rows = rows[: recipe.validation_rows]
    nats = 0.0
    with torch.inference_mode():
        for first in range(0, len(rows), recipe.batch):
            batch = torch.from_numpy(rows[first : first + recipe.batch]).long()
            nats += _loss(model, batch, training=False).item() * batch[:, 1:].numel()
    spelled = shared.batch_decode(rows[:, 1:], skip_special_tokens=False)
    size = sum(len(s.replace(tokenizer.START, "\n").encode("utf-8")) for s in spelled)
    return round(nats / math.log(2) / size, 4)


def _loss(model: PreTrainedModel, batch: Tensor, *, training: bool) -> Tensor:
    """Return the mean next-token loss in nats; in training a mixture of experts adds its load-balancing loss."""
    moe = training and hasattr(model.config, "router_aux_loss_coef")
    extra = {"output_router_logits": True} if moe else {}
    out = model(input_ids=batch[:, :-1], use_cache=False, **extra)
    logits = out.logits.float().flatten(0, 1)  # (b * l, vocab)
    loss = torch.nn.functional.cross_entropy(logits, batch[:, 1:].flatten())
    if moe:
        loss = loss + model.config.router_aux_loss_coef * _balance(out.router_logits, model.config)
    return loss


def _balance(router_logits: tuple[Tensor, ...], config: Any) -> Tensor:
    """Mean over layers of E sum_e f_e P_e (Fedus et al. 2021): top_k at a uniform router."""
    terms = []
    for logits in router_logits:
        probs = torch.softmax(logits.float(), dim=-1)  # (tokens, experts)
        chosen = probs.topk(config.num_experts_per_tok, dim=-1).indices
        share = torch.nn.functional.one_hot(chosen, config.num_experts).sum(1).float().mean(0)
        terms.append(config.num_experts * (share * probs.mean(0)).sum())
    return torch.stack(terms).mean()


def _groups(model: PreTrainedModel, recipe: Recipe) -> list[dict[str, Any]]:
    """Decay matrices only: norms, biases, decay rates, bonuses and shifts keep their own scale."""
    kept = ("A_log", "time_", "embed")
    plain = [p for n, p in model.named_parameters() if p.ndim < 2 or any(k in n for k in kept)]
    ids = {id(p) for p in plain}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    return [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]


def _learning_rate(step: int, recipe: Recipe) -> float:
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.lr_end + (recipe.lr - recipe.lr_end) * 0.5 * (1 + math.cos(math.pi * progress))


def _batch(rows: npt.NDArray[np.int32], step: int, batch: int) -> npt.NDArray[np.int32]:
    index = np.arange(step * batch, (step + 1) * batch) % len(rows)
    return rows[index]


def _tokenizer(folder: Path, texts: tuple[corpus.Text, ...], vocab: int) -> PreTrainedTokenizerFast:
    if (folder / "tokenizer.json").is_file():
        known: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
        return known
    shared = tokenizer.train([text.train for text in texts], vocab=vocab)
    shared.save_pretrained(folder)
    return shared
