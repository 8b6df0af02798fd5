"""Both stacks of layers as a picture, with who may read whom in each kind of attention."""

from collections.abc import Mapping

import numpy as np

from models.records.encoder_decoder import KINDS, EncoderDecoderRun, Kind
from models.records.trace import Array, NamedArray
from viz.encoder_decoder.heads import COLOR, resting_step
from viz.encoder_decoder.labels import labels, reading_of
from viz.exchange import Block, Stack, StacksSpec
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme


@figure("two_stacks", of="run")
def two_stacks(run: EncoderDecoderRun, *, theme: Theme, t: Translate) -> Figure:
    """Draw the blocks of encoder and decoder, each attention with its mask (query, key): 1 where a word may be read."""
    masks = {kind: seen(run, kind) for kind in KINDS}
    sizes = run.sizes
    feed = Block(t("viz.two_stacks.feed"), t("viz.two_stacks.feed_text", width=sizes.d_model, ffn=sizes.ffn))
    attention = {kind: _attention(kind, masks[kind], t) for kind in KINDS}
    spec = StacksSpec(
        "two_stacks",
        t("viz.two_stacks.alt", encoder=sizes.encoder_layers, decoder=sizes.decoder_layers),
        theme,
        theme.color(COLOR),
        reading_of(run),
        Stack(
            t("viz.two_stacks.encoder"),
            t("viz.two_stacks.encoder_text"),
            (feed, attention["encoder"]),
            sizes.encoder_layers,
            t("viz.two_stacks.embedding", width=sizes.d_model),
        ),
        Stack(
            t("viz.two_stacks.decoder"),
            t("viz.two_stacks.decoder_text"),
            (feed, attention["cross"], attention["decoder"]),
            sizes.decoder_layers,
            t("viz.two_stacks.embedding", width=sizes.d_model),
        ),
        Block(t("viz.two_stacks.head"), t("viz.two_stacks.head_text", width=sizes.d_model, vocab=sizes.vocab)),
        labels(run, run.source, t),
        labels(run, run.given, t),
        labels(run, run.written, t),
        resting_step(run),
        note=t("viz.two_stacks.note"),
        words={name: t(f"viz.two_stacks.words.{name}") for name in ("next", "carried")}
        | {"layers": template(t, "viz.two_stacks.words.layers", "count")},
    )
    data = {f"{kind}_mask": NamedArray(mask, ("query", "key")) for kind, mask in masks.items()}
    return Figure("two_stacks", spec, data, spec.alt, finding=mask_finding(masks, t))


def mask_finding(masks: Mapping[Kind, Array], t: Translate) -> str:
    """Say how many pairs the decoder's own mask lets be read, where it leaves some out and the others leave none."""
    own = masks["decoder"]
    if own.all() or not (masks["encoder"].all() and masks["cross"].all()):
        return ""
    return t("viz.two_stacks.finding", seen=int(own.sum()), all=own.size)


def seen(run: EncoderDecoderRun, kind: Kind) -> Array:
    """Return 1 where the run let a query read a key, (query, key)."""
    return np.asarray(run.attention(kind).visible.values, np.uint8)


def _attention(kind: Kind, mask: Array, t: Translate) -> Block:
    return Block(
        t(f"viz.two_stacks.{kind}_attention"),
        t(f"viz.two_stacks.{kind}_attention_text"),
        mask,
        "other" if kind == "cross" else "own",
    )
