"""What `semppl_keras.runs.doctor` gives back."""

from collections.abc import Iterator
from typing import Any


class Diagnosis(dict[str, Any]):
    """What is installed, on what it runs, and what is missing, as a dict for JSON.

    Its entries are semppl_keras, python, system, machine (bytes), keras, backend (the
    one that a command would take), backends (each with its devices), packages, those
    that the package cannot do without, variables of the environment, and features,
    each with what it lacks and how that is installed.

    Example:
        >>> print(doctor(verbose=0).screen())
    """

    def screen(self) -> str:
        """All of it on one screen, to be pasted into an issue."""
        return "\n".join(
            [*self._head(), "", *self._of_backends(), "", *self._of_features()]
            + [f"\nWRONG: {problem}" for problem in self.problems()]
        )

    def problems(self) -> list[str]:
        """What keeps commands from working as they were tested, a sentence each."""
        keras, wrong = self["keras"], []
        lacking = [name for name, version in self["packages"].items() if not version]
        if keras["version"] is None:
            lacking.insert(0, "keras")
        if lacking:
            wrong.append(f"Not installed: {', '.join(lacking)}.")
        if "problem" in self["machine"]:
            wrong.append(self["machine"]["problem"])
        if keras["newer_than_tested"]:
            wrong.append(
                f"Keras {keras['version']} is newer than what was tested, "
                f"{' to '.join(keras['tested'])}."
            )
        if "problem" in self["backend"]:
            wrong.append(self["backend"]["problem"])
        return wrong

    def _head(self) -> Iterator[str]:
        own, keras, machine = self["semppl_keras"], self["keras"], self["machine"]
        yield f"semppl_keras {own['version']}, in {own['folder']}"
        yield f"Python       {self['python']}, {self['system']}"
        yield (
            f"machine      processors: {machine['processors']}; memory: "
            f"{_gigabytes(machine['memory'])}, free "
            f"{_gigabytes(machine['free_memory'])}; free on disk: "
            f"{_gigabytes(machine['free_disk'])}"
        )
        yield (
            f"Keras        {keras['version'] or 'not installed'} (tested: "
            f"{' to '.join(keras['tested'])})"
        )
        versions = [f"{name} {version}" for name, version in self["packages"].items()]
        yield from _wrapped("packages", versions)
        if self["variables"]:
            set_to = [f"{name}={value}" for name, value in self["variables"].items()]
            yield from _wrapped("variables", set_to)

    def _of_backends(self) -> Iterator[str]:
        yield "backends (* runs the networks)"
        for name, found in self["backends"].items():
            used = "*" if name == self["backend"]["name"] else " "
            if found["version"] is None:
                told = f"{'missing':<13} pip install 'semppl_keras[{name}]'"
            else:
                told = f"{found['version']:<13} {_devices(found)}"
            yield f"{used} {name:<11}{told}"

    def _of_features(self) -> Iterator[str]:
        yield "what else there is"
        for feature in self["features"]:
            lacking = feature["missing"]
            state, told = ("missing", feature["install"]) if lacking else ("there", "")
            yield f"  {state:<9}{feature['name']:<36}{told}".rstrip()

    def __repr__(self) -> str:
        own, backend = self["semppl_keras"], self["backend"]["name"]
        return (
            f"<Diagnosis semppl_keras {own['version']}, Keras "
            f"{self['keras']['version']} on {backend}, problems: "
            f"{len(self.problems())}>"
        )


def _devices(found: dict[str, Any]) -> str:
    if "problem" in found:
        return f"cannot be imported: {found['problem']}"
    told = []
    for device in found["devices"]:
        text = device["kind"]
        if device["name"] and device["name"].upper() != text:
            text += f" {device['name']}"
        if device["memory"]:
            text += f" ({_gigabytes(device['memory'])})"
        told.append(text)
    return ", ".join(told) or "no devices"


def _gigabytes(number: int | None) -> str:
    return "unknown" if number is None else f"{number / 1e9:.1f} GB"


def _wrapped(title: str, entries: list[str]) -> Iterator[str]:
    """Entries with commas between, in lines of a screen's width behind a title."""
    line = f"{title:<13}"
    for number, entry in enumerate(entries):
        text = entry + ("," if number + 1 < len(entries) else "")
        if len(line) > 13 and len(line) + len(text) > 88:
            yield line.rstrip()
            line = " " * 13
        line += f"{text} "
    yield line.rstrip()
