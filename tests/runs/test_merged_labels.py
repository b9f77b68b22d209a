"""Labels of two times, merged and compared, against loops over the same files."""

import os

import numpy as np
import pytest

from semppl_keras.runs.merged_labels import (
    LabelChanges,
    by_file,
    changes,
    merged,
    tell_changed,
)

pytestmark = pytest.mark.any_backend


def _drawn(generator, folder):
    rows = generator.permutation(12)[: generator.integers(1, 12)]
    return [(f"{folder}/{row}.png", "abc"[generator.integers(3)]) for row in rows]


@pytest.mark.parametrize("seed", range(20))
def test_the_later_labels_count(seed):
    generator = np.random.default_rng(seed)
    before, more = _drawn(generator, "x"), _drawn(generator, "x/../x")
    expected = dict(before)
    added, changed = [], []
    for name, label in more:
        plain = name.replace("x/../", "")
        if plain not in expected:
            added.append(name)
            expected[name] = label
        else:
            if expected[plain] != label:
                changed.append((plain, expected[plain], label))
            expected[plain] = label
    own = by_file(before)
    together = merged(own, by_file(more))
    assert list(together.values()) == list(expected.items())
    found = changes(own, together)
    assert list(found.added) == added
    assert sorted(found.changed) == sorted(changed)
    assert found.removed == ()
    # The other way round what was added is missing.
    back = changes(together, own)
    assert sorted(back.removed) == sorted(added)
    assert sorted((name, now, was) for name, was, now in back.changed) == sorted(
        changed
    )
    assert bool(found) == bool(added or changed)


def test_links_to_one_file_are_one_file(tmp_path):
    photo, link = tmp_path / "photo.png", tmp_path / "link.png"
    photo.write_bytes(b"")
    try:
        os.symlink(photo, link)
    except OSError:
        pytest.skip("There are no links here.")
    own = by_file([(str(photo), "cat")])
    together = merged(own, by_file([(str(link), "dog")]))
    assert list(together.values()) == [(str(photo), "dog")]
    # Named twice with two classes both are kept, to be told with the other copies.
    both = by_file([(str(photo), "cat"), (str(link), "dog")])
    assert sorted(both.values()) == [(str(link), "dog"), (str(photo), "cat")]


def test_the_first_few_are_named_and_all_are_counted(capsys):
    changed = tuple((f"{row}.png", "cat", "dog") for row in range(7))
    found = LabelChanges(("new.png",), changed, ("gone\x1b.png",))
    assert found.told() == "1 added, 7 changed, 1 removed"
    noted = found.to_dict()
    assert noted["such_as"] == [[f"{row}.png", "cat", "dog"] for row in range(5)]
    assert (noted["added"], noted["changed"], noted["removed"]) == (1, 7, 1)
    tell_changed(found)
    told = capsys.readouterr().out
    assert "7 images have another class" in told
    assert "0.png cat before, dog now; 1.png" in told
    assert "and 2 more" in told
    # No name steers the terminal.
    assert "gone\\x1b.png" in told
    tell_changed(LabelChanges())
    assert capsys.readouterr().out == ""
