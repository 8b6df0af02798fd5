"""The command line: python -m models list, describe, trace, bench, runs, bench-kernels, evaluate, train, ..."""

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

from models import panics
from models.errors import ContextscopeError

# command -> (module with add_arguments(parser) and main(args), what it does); imported only when asked for
COMMANDS = {
    "list": ("models.cli.listing", "list the bundled models and the catalogue"),
    "describe": ("models.cli.description", "count a model's parameters, cache bytes and layers, without its weights"),
    "check-published": ("models.cli.published", "count the tables of the papers again and say which values agree"),
    "trace": ("models.cli.tracing", "run a model over a text and say what each layer shows"),
    "bench": ("models.cli.benchmark", "measure memory and speed against context length"),
    "runs": ("models.cli.runs", "list, export, compare, import and delete the runs of the benchmark"),
    "bench-kernels": ("models.cli.kernels", "compare our operators with what transformers runs without them"),
    "tune-kernels": ("models.cli.tuning", "try other block sizes of our GPU kernels and say which are faster"),
    "gpu": ("models.cli.gpu", "record the tests, the kernels and the standard runs of a GPU"),
    "evaluate": ("models.cli.evaluation", "judge models on held-out text: bits per byte, use of experts, structure"),
    "train": ("models.cli.train", "train the bundled models again"),
    "train-encoder-decoder": ("models.cli.encoder_decoder", "train the small encoder-decoder again and measure it"),
    "recall": ("models.cli.recall", "train and measure the micro-models: associative recall, induction, copying"),
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and leave with code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 when it was used wrongly."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding that lacks a letter of a title is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return 130


def _run(words: list[str]) -> int:
    if words[:1] == ["serve-worker"]:
        from models.bench.run import worker

        return worker.main()
    parser = Parser(
        prog="python -m models", description="Real models of four architectures: list, describe, trace, measure, train."
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose)
        if words[:1] == [name]:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(words)
    try:
        code = importlib.import_module(COMMANDS[args.command][0]).main(args)
    except ContextscopeError as error:
        print(" ".join(f"python -m models {args.command}: {error}".splitlines()), file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has had enough
        sys.stderr.close()
        return 0
    except BaseException as error:
        if not panics.is_panic(error):
            raise
        print(f"python -m models {args.command}: compiled code failed: {str(error)[:200]!r}", file=sys.stderr)
        return 2
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
