"""`semppl doctor`: what is installed, on what it runs, what is missing for what."""

import argparse

from semppl_keras.runs.options.doctor import DoctorOptions

OPTIONS = DoctorOptions

SUMMARY = "tell what is installed, on what it runs, what is missing"

DESCRIPTION = """\
Tell versions, backends with their devices, memory, and what is missing for what, in one
screen to paste into an issue. Each backend that is installed is asked in a process of
its own; nothing is written, nothing is sent anywhere. It works without any backend, and
ends with status 0 whatever it finds."""

EPILOG = """\
examples:
  semppl doctor
  semppl doctor --json"""

# A broken one is among what it tells.
NEEDS_BACKEND = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", action="store_true", help="print it as JSON, for a program"
    )


def run(options: DoctorOptions) -> None:
    """Does what the options say."""
    from semppl_keras.runs.diagnosing import doctor_with

    doctor_with(options)


def how_to_go_on(options: DoctorOptions) -> str:
    """The sentence for someone who has just interrupted the command."""
    return "Run the same command again."
