"""The command `semppl`.

Parsing needs the standard library and modules of words and options alone.
"""

import argparse
import contextlib
import dataclasses
import importlib
import sys
import traceback
import types
from collections.abc import Sequence
from typing import NoReturn

from semppl_keras.cli.completion import SHELLS, PrintCompletion
from semppl_keras.cli.loading import load_backend
from semppl_keras.cli.quiet import quiet_backends
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import Options
from semppl_keras.runs.telling import one_error, verbose_as
from semppl_keras.runs.terminal import plain_output
from semppl_keras.version import __version__

_DESCRIPTION = """\
Learn from many images and labels for a few of them (SemPPL on Keras 3)."""

_COMMANDS = (
    "train",
    "evaluate",
    "import",
    "export",
    "label",
    "check",
    "views",
    "report",
    "finetune",
    "distil",
    "pack",
    "doctor",
)
# A keyword cannot be imported.
_MODULES = {"import": "import_checkpoint"}


class _OneLineErrors(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit status: 0, 2 after an error of the user's, which is told in one
        line on stderr, or 130 when interrupted.

    Raises:
        SystemExit: The arguments cannot be parsed (2), or `--help` or `--version` (0).

    Example:
        >>> main(["train", "--epochs", "1", "--out", "runs/short"])
    """
    with plain_output():
        arguments = parser().parse_args(argv)
        with (
            verbose_as(arguments.verbose),
            contextlib.nullcontext() if arguments.verbose == 2 else quiet_backends(),
        ):
            return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    """The exit status of a command."""
    command = load_command(arguments.command)
    loaded = False
    try:
        # A wrong one is told before the backend, which takes long.
        options = filled(command.OPTIONS, arguments)
        if getattr(command, "NEEDS_BACKEND", True):
            load_backend()
        loaded = True
        with one_error():
            command.run(options)
    except RunError as error:
        # Messages from elsewhere may have several lines.
        return _failed(arguments, " ".join(str(error).split()))
    except KeyboardInterrupt:
        how = command.how_to_go_on(options) if loaded else "Nothing was written."
        print(f"\nInterrupted. {how}", file=sys.stderr)
        return 130
    except Exception as error:
        from semppl_keras.training.out_of_memory import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        return _failed(
            arguments,
            "there is less memory than this takes "
            f"({' '.join(str(error).split())[:200] or 'no more is known'}). Close "
            "other programs, or take smaller or fewer images.",
        )
    return 0


def filled(options: type[Options], arguments: argparse.Namespace) -> Options:
    """The options of a command, filled with what stands on the command line.

    Args:
        options: Their class.
        arguments: What the parser of the command has made of the words.

    Raises:
        RunError: A value is wrong, or contradicts another.
    """
    names = (field.name for field in dataclasses.fields(options))
    return options.of(**{name: getattr(arguments, name) for name in names})


def _failed(arguments: argparse.Namespace, message: str) -> int:
    """Tells an error that is being handled, and gives its exit status."""
    if arguments.verbose == 2:
        traceback.print_exc()
    print(f"semppl {arguments.command}: error: {message}", file=sys.stderr)
    return 2


def load_command(name: str) -> types.ModuleType:
    """The module of a command.

    Args:
        name: Of the command, such as "train".

    Returns:
        Module with `OPTIONS`, the class of what `semppl_keras.runs` does it by,
        `SUMMARY`, `DESCRIPTION`, `EPILOG`, `add_arguments(parser)`, `run(options)` and
        `how_to_go_on(options)`; `NEEDS_BACKEND` is False of one that works without.
    """
    return importlib.import_module(
        f"semppl_keras.cli.commands.{_MODULES.get(name, name)}"
    )


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _OneLineErrors(prog="semppl", description=_DESCRIPTION)
    parser.add_argument(
        "--version", action="version", version=f"semppl_keras {__version__}"
    )
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=PrintCompletion,
        # It is no option of the commands.
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="print the script by which this shell completes what is typed",
    )
    _add_verbosity(parser, default=1)
    commands = parser.add_subparsers(
        title="commands",
        dest="command",
        metavar="COMMAND",
        required=True,
        parser_class=_OneLineErrors,
    )
    for name in _COMMANDS:
        command = load_command(name)
        of_command = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            # The texts are printed line by line as they are.
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # What stands before the name of the command counts if nothing stands behind.
        _add_verbosity(of_command, default=argparse.SUPPRESS)
        command.add_arguments(of_command)
    return parser


def _add_verbosity(parser: argparse.ArgumentParser, default: int | str) -> None:
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        "-q",
        "--quiet",
        dest="verbose",
        action="store_const",
        const=0,
        default=default,
        help="say nothing but errors",
    )
    options.add_argument(
        "-v",
        "--verbose",
        dest="verbose",
        action="store_const",
        const=2,
        default=default,
        help="say more: what the backend says of itself, and where errors arise",
    )
