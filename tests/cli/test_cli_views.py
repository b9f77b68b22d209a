"""`semppl views`: what the picture shows, and what is refused."""

import numpy as np
import pytest
from toys import slow_on_jax

import semppl_keras
from semppl_keras.cli import main
from semppl_keras.reports.view_grid import draw_views

pytestmark = pytest.mark.any_backend


@pytest.fixture
def photos(tmp_path):
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(5):
        pixels = generator.integers(0, 256, (14 + index, 20, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    return folder


@slow_on_jax
@pytest.mark.parametrize("options", [(), ("--views", "imagenet", "--image-size", "16")])
def test_the_picture_is_written_and_no_image_changed(photos, tmp_path, options, capsys):
    from PIL import Image

    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    out = tmp_path / "new" / "views.png"
    arguments = ["views", str(photos), "--out", str(out), "--images", "4", *options]
    assert main([*arguments, "--draws", "2"]) == 0
    printed = capsys.readouterr()
    assert "of 4 images" in printed.out
    assert printed.err.count("not read: ") <= 1
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    with Image.open(out) as image:
        image.load()
        # Two large views of each draw, or four large and two small ones.
        assert image.width == 125 * (2 + 2 * (6 if options else 2))
    # Again, and something is there.
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


@pytest.fixture
def sizes_drawn(monkeypatch):
    """Pixels of a side of the views of each picture, which are not drawn."""
    import matplotlib.figure

    from semppl_keras.runs import viewing

    sizes = []

    def draw(views, *others):
        sizes.append(views.large_size)
        return matplotlib.figure.Figure()

    monkeypatch.setattr(viewing, "draw_views", draw)
    return sizes


@pytest.mark.parametrize(
    ("side", "options", "size", "network"),
    [
        (64, (), 64, False),
        (80, (), 224, True),
        (80, ("--image-size", "72"), 72, True),
        (80, ("--image-size", "32"), 32, False),
        (80, ("--views", "imagenet"), 80, False),
        (80, ("--backbone", "small"), 80, False),
    ],
)
def test_without_other_words_the_views_are_those_of_training(
    tmp_path, sizes_drawn, side, options, size, network, capsys
):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (side, 60)).save(tmp_path / "photos" / "a.png")
    out = ["--out", str(tmp_path / "views.png")]
    assert main(["views", str(tmp_path / "photos"), *out, *options]) == 0
    assert sizes_drawn == [size]
    assert ("EfficientNetV2B0" in capsys.readouterr().out) is network


def test_the_same_seed_draws_the_same_picture(photos, tmp_path):
    pictures = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        out = tmp_path / f"{name}.png"
        arguments = ["views", str(photos), "--out", str(out), "--seed", seed]
        assert main([*arguments, "--image-size", "12"]) == 0
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_each_row_shows_the_image_what_is_seen_and_its_views():
    views = semppl_keras.views.MultiCrop(1, 1, 8, 6, output_range=(-1, 1))
    images = [np.full((9, 12, 1), 255, "uint8"), np.zeros((16, 8, 1), "uint8")]
    figure = draw_views(views, images, draws=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:6] == ["image", "seen", "large 1", "small 1", "large 1", "small 1"]
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    assert [picture.shape for picture in shown[:4]] == [(9, 12), (8, 8), (8, 8), (6, 6)]
    assert shown[0].max() == 1
    assert shown[1].min() == pytest.approx(1)
    assert shown[6].shape == (16, 8)
    assert shown[7].max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{photos}", "--out", "views.jpg"], "--out must end in .png"),
        (["nowhere"], "where nothing is"),
        (["{empty}"], "There must be unlabelled images"),
        (["{broken}"], "that cannot, tried at random"),
    ],
)
def test_what_cannot_be_drawn_is_told(photos, tmp_path, options, message, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"")
    options = [
        option.format(
            photos=photos, empty=tmp_path / "empty", broken=tmp_path / "broken"
        )
        for option in options
    ]
    if "--out" not in options:
        options += ["--out", str(tmp_path / "views.png")]
    assert main(["views", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "views.png").exists()
