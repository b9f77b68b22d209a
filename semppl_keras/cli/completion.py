"""The script by which a shell completes what is typed behind `semppl`."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


class PrintCompletion(argparse.Action):
    """Prints the script for a shell and ends.

    The script is a fixed text: nothing of the package runs while somebody types.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Does it."""
        del namespace
        # Only here is it needed.
        try:
            import shtab
        except ImportError:
            parser.error(
                f"{option_string} needs the package shtab, which is not installed: pip "
                "install 'semppl_keras[completion]'"
            )
        for action in _actions(parser):
            _complete(action, files=shtab.FILE)
        print(shtab.complete(parser, shell=str(values)))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What stands behind `semppl`, and behind each of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _complete(action: Any, files: dict[str, str]) -> None:
    """Says what the value of an option may be: the words that its help lists, or the
    name of a file, where it is text that is checked elsewhere."""
    if action.nargs == 0 or action.choices:
        return
    if isinstance(action.metavar, str) and action.metavar.startswith("{"):
        action.choices = action.metavar.strip("{}").split(",")
    elif action.type is None:
        action.complete = files
