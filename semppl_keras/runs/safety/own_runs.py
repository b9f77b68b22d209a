"""Which run folders this machine's user has written: those whose sources are followed.

A run folder names where its images are. Whoever gives one away chooses what is read:
any folder of the machine, a data set whose builder is a program, or a network of
KerasHub's that is fetched. A key that never leaves the machine signs the sources of the
runs that are written here.
"""

import hashlib
import hmac
import json
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

from semppl_keras.backbones.specs import parse
from semppl_keras.data import Dataset
from semppl_keras.data.images.source_names import kind_and_rest
from semppl_keras.runs.errors import MissingPictures
from semppl_keras.runs.folder import dataset_of
from semppl_keras.runs.telling import tell

_KEY_BYTES = 32

_SIGNATURE = "sources_signature"


def signed(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run with a signature of where its images come from.

    Args:
        settings: Dict that `run.json` is to hold.

    Returns:
        Dict; the same, told on stderr, where no key can be kept.
    """
    try:
        key = _key(make=True)
    except OSError as error:
        tell(
            f"Note: {_key_file()} cannot be written ({error.strerror or error}), so "
            "that later commands will ask for --trust to read this run's images. Set "
            "SEMPPL_HOME to a folder that can be written to.",
            error=True,
        )
        return settings
    return {**settings, _SIGNATURE: _signature(key, settings["dataset"])}


def check_sources(
    folder: pathlib.Path,
    settings: Mapping[str, Any],
    *,
    photos: bool = False,
    network: bool = False,
    trust: bool = False,
    own: bool = True,
) -> None:
    """Refuses to follow what somebody else's run folder names.

    Args:
        folder: The run's, for the message.
        settings: Dict, what `run.json` holds.
        photos: Whether a person has said in which folder its images are, so that what
            lies in none is all that would be followed.
        network: Whether its backbone is made again, too, which may be fetched.
        trust: Whether the user has said that it may be followed.
        own: Whether it can be one that was written here: what was packed is not.

    Raises:
        MissingPictures: It names sources of images, and was not written here.
    """
    dataset = dataset_of(settings)
    named = list(dataset.sources.values())
    if photos:
        named = [source for source in named if kind_and_rest(source)[0] == "tfds"]
    fetched = fetched_backbone(dataset) if network else None
    if fetched is not None:
        named.append(fetched)
    if trust or not named:
        return
    try:
        key = _key(make=False)
    except OSError:
        key = b""
    given = settings.get(_SIGNATURE)
    signature = _signature(key, settings["dataset"]).encode()
    if own and key and hmac.compare_digest(str(given).encode(), signature):
        return
    raise MissingPictures(
        f"The images of a run are read where run.json says, if it was written by you "
        f"and on this machine. Received: {str(folder)!r}, which was not, or by an "
        f"earlier version, or was changed since; it names "
        f"{', '.join(named)}. If these may be read: --trust."
    )


def fetched_backbone(dataset: Dataset) -> str | None:
    """The network of a run as its options name it, if it comes from KerasHub.

    Args:
        dataset: The run's.
    """
    backbone = dataset.options().get("backbone")
    of_hub = backbone is not None and parse(backbone).kind == "hub"
    return str(backbone) if of_hub else None


def _signature(key: bytes, dataset: Any) -> str:
    text = json.dumps(dataset, sort_keys=True).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _key_file() -> pathlib.Path:
    home = os.environ.get("SEMPPL_HOME")
    if home:
        return pathlib.Path(home) / "key"
    if os.name == "nt":
        state = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return pathlib.Path(os.path.expanduser(state)) / "semppl" / "key"


def _key(*, make: bool) -> bytes:
    """The user's key; nothing where there is none and none is made."""
    path = _key_file()
    if not path.exists():
        if not make:
            return b""
        _make_key(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise OSError(f"a key has {_KEY_BYTES} bytes, this one has {len(key)}")
    return key


def _make_key(path: pathlib.Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(os.open(partial, flags, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
    try:
        # Of two processes the first has made it, for both.
        os.link(partial, path)
    except FileExistsError:
        pass
    except OSError:
        # Not every file system has links.
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
