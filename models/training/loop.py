"""One training run: it resumes at any step, logs rows, and saves a checkpoint with its card."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from models import registry
from models.errors import SettingError
from models.machine import facts as machine_facts
from models.training import card, claims, corpus, evaluation
from models.training.initial import parameter_groups
from models.training.loss import losses
from models.training.recipe import Recipe
from models.training.repeats import Repeats
from models.training.shapes import BUILDERS

UNFINISHED = "unfinished.safetensors"  # in the checkpoint's folder while a run lasts
SAVE_EVERY_S = 120.0
LOG_EVERY = 10  # steps

Rows = npt.NDArray[np.int32]


class Training:
    """One architecture in training: taken up where it was interrupted, advanced in steps, saved when it is done.

    The log and the weights are those of an uninterrupted run. Raises SettingError when what lies in the folder was
    begun with another recipe; one that differs only in its steps is the same until either begins to cool down.

    At a restart of the recipe the model goes on as a finished one would that was read from its file: its weights
    rounded to half precision, the optimiser new, the next rows of the text. So a model that was trained to that step
    is taken further where it lies in the folder, and a run without it ends with the same weights.
    """

    def __init__(
        self, name: str, recipe: Recipe, rows: Rows, folder: Path, vocab: int, *, repeats: Repeats | None = None,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        if recipe.repeats and repeats is None:
            raise ValueError("the recipe asks for text that repeats: pass repeats")
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.name, self.recipe, self.rows, self.folder = name, recipe, rows, folder
        self.repeats = repeats
        self.model: Any = BUILDERS[name](recipe.shape, vocab).train().to(device)
        self.optimizer = self._new_optimizer()
        self.step = 0  # steps done
        self.seconds = 0.0  # of training, over every session of the run
        self.saved = time.monotonic()
        if (folder / UNFINISHED).is_file():
            self._take_up()
        elif (finished := _recipe_of(folder)) and recipe.goes_on_from(finished):
            self._take_further(finished.steps)
        elif (folder / "card.json").is_file():
            message = f"{folder} holds a model of another recipe: choose another --out, or delete it"
            raise SettingError("errors.setting_value", message, name="out", value=str(folder))
        else:
            self._log.write_text("", encoding="utf-8")
        self.begun = self.step, self.seconds  # of this session

    @property
    def done(self) -> bool:
        """Whether every step is made."""
        return self.step >= self.recipe.steps

    @property
    def _log(self) -> Path:
        return self.folder / "log.jsonl"

    def advance(self, steps: int) -> None:
        """Make up to this many steps; an interrupt keeps what is done."""
        try:
            with self._log.open("a", encoding="utf-8") as log:
                for _ in range(min(steps, self.recipe.steps - self.step)):
                    row = self._advance_one()
                    if row["step"] % LOG_EVERY == 0 or self.done:
                        log.write(json.dumps(row) + "\n")
                        log.flush()
                        self._report(row["loss"])
                    if time.monotonic() - self.saved > SAVE_EVERY_S:
                        self._keep()
        except KeyboardInterrupt:
            self._keep()
            raise
        self._keep()

    def save(self, texts: tuple[corpus.Text, ...], shared: PreTrainedTokenizerFast) -> dict[str, Any]:
        """Save the model in transformers format, half precision, with its card; returns the card's facts."""
        model = self.model.half().eval()
        model.save_pretrained(self.folder, safe_serialization=True)
        for path in self.folder.glob("*.safetensors"):
            path.chmod(0o644)  # safetensors writes for its owner only
        shared.save_pretrained(self.folder)
        facts = _facts(self, texts, shared)
        card.write(self.folder, facts)
        (self.folder / UNFINISHED).unlink(missing_ok=True)
        return facts

    def _new_optimizer(self) -> torch.optim.AdamW:
        groups = parameter_groups(self.model, self.recipe.weight_decay)
        return torch.optim.AdamW(groups, lr=self.recipe.lr, betas=self.recipe.betas)

    @torch.no_grad()
    def _restart(self) -> None:
        for parameter in self.model.parameters():
            parameter.copy_(parameter.half())
        self.optimizer = self._new_optimizer()

    def _advance_one(self) -> dict[str, Any]:
        started, device = time.monotonic(), self.model.device
        if self.step in self.recipe.restarts:
            self._restart()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        batch = torch.from_numpy(batch_of(self.rows, self.step, self.recipe, self.repeats)).long().to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            loss = losses(self.model, batch)
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seconds += time.monotonic() - started
        return {
            "step": self.step - 1,
            "tokens": self.step * batch[:, 1:].numel(),
            "loss": round(loss.next_token.item(), 4),
            "lr": self.recipe.rate(self.step - 1),
            "grad_norm": round(float(norm), 3),
            "seconds": round(self.seconds, 1),
        }

    def _report(self, loss: float) -> None:
        pace = (self.seconds - self.begun[1]) / (self.step - self.begun[0])  # seconds per step
        left = pace * (self.recipe.steps - self.step)
        speed = self.recipe.batch * self.recipe.context / pace
        text = f"{self.name} step {self.step}/{self.recipe.steps} loss {loss:.3f} {speed:,.0f} tokens/s "
        print(f"{text}{left / 60:.1f} min left", file=sys.stderr, flush=True)

    def _take_up(self) -> None:
        kept = self.folder / UNFINISHED
        with safe_open(kept, framework="pt") as file:
            known = file.metadata()
        step, begun = int(known["step"]), Recipe.read(known["recipe"])
        if begun is None or not self.recipe.begins_as(begun, step):
            message = f"{kept} was begun with another recipe: finish it with that one, or delete the file"
            raise SettingError("errors.setting_value", message, name="recipe", value=str(kept))
        tensors = load_file(kept, device=str(self.model.device))
        weights = {name[6:]: x for name, x in tensors.items() if name.startswith("model.")}
        self.model.load_state_dict(weights, strict=False)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, x in tensors.items():
            if name.startswith("optimizer."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = x
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step, self.seconds = step, float(known["seconds"])
        lines = self._log.read_text(encoding="utf-8").splitlines(keepends=True)
        self._log.write_text("".join(line for line in lines if json.loads(line)["step"] < step), encoding="utf-8")

    def _take_further(self, step: int) -> None:
        """Begin with the finished model in the folder, which was trained by this recipe up to a restart."""
        known = json.loads((self.folder / "card.json").read_text(encoding="utf-8"))
        finished = type(self.model).from_pretrained(self.folder, dtype=torch.float32)
        self.model.load_state_dict(finished.state_dict())
        self.step, self.seconds = step, float(known["seconds"])

    def _keep(self) -> None:
        """Save the run for resuming; a process killed while writing leaves the previous save intact."""
        tensors = {f"model.{name}": x for name, x in self.model.named_parameters()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": x for name, x in moments.items()}
        known = {"step": self.step, "seconds": self.seconds, "recipe": json.dumps(asdict(self.recipe))}
        unwritten = self.folder / f"{UNFINISHED}.part"
        kept = {name: x.detach().contiguous() for name, x in tensors.items()}
        save_file(kept, unwritten, metadata={name: str(value) for name, value in known.items()})
        unwritten.replace(self.folder / UNFINISHED)
        self.saved = time.monotonic()


def trained(recipe: Recipe, folder: Path) -> bool:
    """Return whether a folder contains a model trained by this recipe, and print a line if so."""
    if _recipe_of(folder) != recipe:
        return False
    print(f"{folder} is already trained by this recipe: delete it to train it again", file=sys.stderr)
    return True


def _recipe_of(folder: Path) -> Recipe | None:
    """Return the recipe of the finished model in a folder; None without one, or where recipes have changed since."""
    path = folder / "card.json"
    return Recipe.read(path.read_text(encoding="utf-8")) if path.is_file() else None


def batch_of(rows: Rows, step: int, recipe: Recipe, repeats: Repeats | None) -> Rows:
    """Return the rows of a step, (batch, context + 1): every architecture gets the same ones, epoch after epoch.

    Where the recipe asks for text that repeats, each row is such text with the probability that it names.
    """
    numbers = np.arange(step * recipe.batch, (step + 1) * recipe.batch)
    found = rows[numbers % len(rows)]
    if repeats is not None and recipe.repeats and step >= recipe.repeats_from:
        for at, number in enumerate(numbers):
            if np.random.default_rng([recipe.seed, int(number)]).random() < recipe.repeats:
                found[at] = repeats.row(int(number), int(number) - recipe.repeats_from * recipe.batch)
    return found


def _facts(run: Training, texts: tuple[corpus.Text, ...], shared: PreTrainedTokenizerFast) -> dict[str, Any]:
    recipe, model = run.recipe, run.model.float()  # what is judged are the half-precision weights that were saved
    judged = {text.language: evaluation.judge(model, shared, text, context=recipe.context) for text in texts}
    tokens = recipe.steps * recipe.batch * recipe.context
    known = machine_facts.environment()
    return {
        "architecture": run.name,
        "recipe": asdict(recipe),
        "tokens_seen": tokens,
        "epochs": round(tokens / (len(run.rows) * recipe.context), 3),
        "seconds": round(run.seconds, 1),
        "validation_bits_per_byte": {language: found.bits_per_byte for language, found in judged.items()},
        "validation": {language: asdict(found) for language, found in judged.items()},
        "expert_shares": evaluation.expert_shares(model, shared, texts, context=recipe.context)
        if hasattr(model.config, "num_experts")
        else None,
        "structure": claims.facts(registry.load(str(run.folder)), texts),
        "corpus_sha256": {text.language: text.sha256 for text in texts},
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": machine_facts.device_name(str(run.model.device)),
        "host_cpu": known.get("host_cpu"),
    }
