"""The command `semppl`.

Parsing needs the standard library alone.
"""

import argparse
import importlib
import sys

from semppl_keras.runs.terminal import plain_output

_DESCRIPTION = """\
Learn from many images and labels for a few of them (SemPPL on Keras 3)."""

_COMMANDS = (
    "train",
    "evaluate",
    "import",
    "export",
    "label",
    "views",
    "report",
    "finetune",
    "distil",
)
# A keyword cannot be imported.
_MODULES = {"import": "import_checkpoint"}


class _OneLineErrors(argparse.ArgumentParser):
    def error(self, message):
        message = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv=None):
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit status: 0, 2 after an error of the user's, which is told in one
        line on stderr, or 130 when interrupted.

    Raises:
        SystemExit: The arguments cannot be parsed (2), or `--help` (0).

    Example:
        >>> main(["train", "--epochs", "1", "--out", "runs/short"])
    """
    with plain_output():
        return _run(parser().parse_args(argv))


def _run(arguments):
    """The exit status of a command."""
    command = load_command(arguments.command)
    from semppl_keras.runs.errors import RunError
    from semppl_keras.training.out_of_memory import is_out_of_memory

    try:
        command.run(arguments)
    except RunError as error:
        # Messages from elsewhere may have several lines.
        message = " ".join(str(error).split())
        print(f"semppl {arguments.command}: error: {message}", file=sys.stderr)
        return 2
    # What the commands do not tell in words of their own.
    except OSError as error:
        print(f"semppl {arguments.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nInterrupted. {command.how_to_go_on(arguments)}", file=sys.stderr)
        return 130
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(
            f"semppl {arguments.command}: error: there is less memory than this takes "
            f"({' '.join(str(error).split())[:200] or 'no more is known'}). Close "
            "other programs, or take smaller or fewer images.",
            file=sys.stderr,
        )
        return 2
    return 0


def load_command(name):
    """The module of a command.

    Args:
        name: Of the command, such as "train".

    Returns:
        Module with `SUMMARY`, `DESCRIPTION`, `EPILOG`, `add_arguments(parser)`,
        `run(arguments)` and `how_to_go_on(arguments)`.
    """
    return importlib.import_module(
        f"semppl_keras.cli.commands.{_MODULES.get(name, name)}"
    )


def parser_of(name, parser_class):
    """The parser of one command alone, for calling it from Python.

    Args:
        name: Of the command, such as "train".
        parser_class: Subclass of `argparse.ArgumentParser`.

    Returns:
        Object of this class; what it parses is what `run` of the command takes.
    """
    commands = argparse.ArgumentParser().add_subparsers(parser_class=parser_class)
    _add_commands(commands)
    return commands.choices[name]


def parser():
    parser = _OneLineErrors(prog="semppl", description=_DESCRIPTION)
    commands = parser.add_subparsers(
        title="commands",
        dest="command",
        metavar="COMMAND",
        required=True,
        parser_class=_OneLineErrors,
    )
    _add_commands(commands)
    return parser


def _add_commands(commands):
    for name in _COMMANDS:
        command = load_command(name)
        parser = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EPILOG,
            # The texts are printed line by line as they are.
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(parser)
