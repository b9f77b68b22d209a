"""The sections of the page about a run, and the page."""

import base64
import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semppl_keras.evaluation import balanced_accuracy, confusion_matrix
from semppl_keras.evaluation.label_errors import LabelErrors
from semppl_keras.evaluation.plane import embed_in_plane
from semppl_keras.reports.embedding_map import embedding_map
from semppl_keras.reports.html_pages import page, picture, style_of, table
from semppl_keras.reports.image_group import LABELLED, TEST, UNLABELLED, ImageGroup
from semppl_keras.reports.svg_charts import line_chart
from semppl_keras.reports.view_grid import draw_views

# On the map: t-SNE's time grows with their square.
_MOST_LABELLED, _MOST_TEST, _MOST_UNLABELLED = 250, 400, 400
_PER_CLASS = 10
_THUMBNAIL = 64
_LARGE_THUMBNAIL = 112
_MOST_SUSPECTS = 20
_VIEWED = 6
# A larger matrix cannot be read.
_MOST_IN_MATRIX = 40
_MOST_CONFUSIONS = 10

_LOSS = ("loss", "augmentation", "semantic", "invariance", "semantic_invariance")
_PSEUDO_LABELS = ("pseudo_label_confidence", "pseudo_label_accuracy", "memory_fill")
_SHARES = ("embedding_std", "target_momentum")


def run_page(title: str, sections: Sequence[tuple[str, str]], script: str) -> str:
    """The page of a run.

    Args:
        title: Of the page.
        sections: Title and HTML of each; one without HTML is left out.
        script: That of its map.

    Returns:
        HTML.
    """
    body = "\n".join(
        "<section>"
        + (f"<h2>{html.escape(title)}</h2>" if title else "")
        + content
        + "</section>"
        for title, content in sections
        if content
    )
    style = style_of("run_page") + style_of("embedding_map")
    return page(title, body, style, script)


def summary(text: str, remarks: Sequence[str], skipped: Sequence[Any]) -> str:
    """The table of results, and what is worth knowing about the images.

    Args:
        text: The table.
        remarks: On the images.
        skipped: `Skipped` of those that could not be read.
    """
    text = html.escape(text)
    notes = "".join(f"<li>{html.escape(str(remark))}</li>" for remark in remarks)
    files = "".join(
        f"<li>{html.escape(str(entry.name))}: {html.escape(str(entry.reason))}</li>"
        for entry in skipped
    )
    return (
        f'<div class="scroll"><pre>{text}</pre></div>'
        + (f"<h2>Notes</h2><ul>{notes}</ul>" if notes else "")
        + (
            f"<details><summary>{len(skipped):,} "
            f"{'file' if len(skipped) == 1 else 'files'} that could not be read"
            f"</summary><ul>{files}</ul></details>"
            if skipped
            else ""
        )
    )


def curves(history: Mapping[str, Sequence[float | None]]) -> str:
    """The metrics of a training over its epochs.

    Args:
        history: By name the values of every epoch.

    Returns:
        HTML, none where nothing was trained.
    """
    charts = []
    for names, title, bounds in (
        (_LOSS, "Loss and its parts", None),
        (_PSEUDO_LABELS, "Pseudo-labels", (0, 1)),
        (_SHARES, "Embeddings' spread, target's momentum", (0, 1)),
    ):
        series = {name: history[name] for name in names if history.get(name)}
        if series:
            charts.append(line_chart(series, title, bounds))
    known = {*_LOSS, *_PSEUDO_LABELS, *_SHARES}
    others = {name: own for name, own in history.items() if name not in known and own}
    if others:
        charts.append(line_chart(others, "Other metrics"))
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def plane_map(
    groups: Mapping[int, ImageGroup], names: Sequence[str], seed: int
) -> tuple[str, str]:
    """Images where their features are, in a plane.

    Args:
        groups: By kind.
        names: One text for each class.
        seed: Of the choice of images, where there are more than can be shown.

    Returns:
        HTML and the script of the map.
    """
    generator = np.random.default_rng(seed)
    most = {UNLABELLED: _MOST_UNLABELLED, TEST: _MOST_TEST, LABELLED: _MOST_LABELLED}
    images, features, classes = [], [], []
    kinds: list[int] = []
    texts: list[str] = []
    for kind, group in groups.items():
        count = min(most[kind], len(group.images))
        rows = np.sort(generator.choice(len(group.images), count, replace=False))
        images.append(group.images[rows])
        features.append(group.features[rows])
        known = group.labels[rows] >= 0
        # What is not labelled shows what it is taken for, even where it is known.
        shown = np.where(
            known & (kind != UNLABELLED), group.labels[rows], group.predicted[rows]
        )
        classes.append(shown)
        kinds += [kind] * count
        texts += [_told(group, row, names, kind) for row in rows]
    points, _ = embed_in_plane(np.concatenate(features))
    return embedding_map(
        points,
        np.concatenate(images),
        np.concatenate(classes),
        kinds,
        texts,
        names,
    )


def _told(group: ImageGroup, row: int, names: Sequence[str], kind: int) -> str:
    text = f"{group.names[row]}: {names[group.predicted[row]]} "
    text += f"{group.confidences[row]:.0%}"
    if group.labels[row] >= 0:
        text += (
            f", {'label' if kind == LABELLED else 'truly'} {names[group.labels[row]]}"
        )
    return text


def confusion(
    predicted: np.ndarray, labels: np.ndarray, where: str, names: Sequence[str]
) -> str:
    """What each class is taken for.

    Args:
        predicted: `(N,)` integers.
        labels: `(N,)` integers.
        where: Of which images, and by what.
        names: One text for each class.
    """
    counts = confusion_matrix(predicted, labels, len(names))
    correct = np.trace(counts)
    text = (
        f"<p>{html.escape(where)}: {correct:,} of {counts.sum():,} right "
        f"({correct / counts.sum():.1%}); with every class counting alike "
        f"{balanced_accuracy(predicted, labels, len(names)):.1%}. A row for each true "
        "class, a column for what it is taken for.</p>"
    )
    if len(names) <= _MOST_IN_MATRIX:
        text += _matrix(counts, names)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [np.unravel_index(flat, wrong.shape) for flat in order]
    rows = [
        (f"{names[true]} taken for {names[taken]}", f"{wrong[true, taken]:,}")
        for true, taken in pairs
        if wrong[true, taken]
    ]
    return text + ("<h2>Most frequent confusions</h2>" + table(rows) if rows else "")


def _matrix(counts: np.ndarray, names: Sequence[str]) -> str:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    short = " short" if max(map(len, names)) <= 3 else ""
    told = [
        f'<span title="{html.escape(name, quote=True)}">{html.escape(name)}</span>'
        for name in names
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in told)
    lines = ""
    for name, row, of_row in zip(told, counts, shares, strict=True):
        cells = "".join(
            f'<td style="background:rgb(31 95 168/{share:.3f});'
            f'color:{"#fff" if share > 0.5 else "#1c2430"}">{count or ""}</td>'
            for count, share in zip(row, of_row, strict=True)
        )
        lines += f'<tr><th scope="row">{name}</th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="matrix{short}"><tr><th></th>{head}</tr>'
        f"{lines}</table></div>"
    )


def certain(group: ImageGroup, names: Sequence[str]) -> str:
    """The images that are not labelled, by what they are taken for.

    Args:
        group: Those images.
        names: One text for each class.
    """
    parts = [
        '<p class="soft">Images that are not labelled, by what they are taken for. '
        "Red: known to be something else.</p>"
    ]
    for label, name in enumerate(names):
        rows = np.flatnonzero(group.predicted == label)
        rows = rows[np.argsort(-group.confidences[rows], kind="stable")]
        most, least = rows[:_PER_CLASS], rows[_PER_CLASS:][-_PER_CLASS:][::-1]
        parts.append(
            f"<details{' open' if label == 0 else ''}><summary>{html.escape(name)}: "
            f"{len(rows):,} images</summary>"
            + (f"Most certain{_row(group, most, names)}" if len(most) else "")
            + (f"Least certain{_row(group, least, names)}" if len(least) else "")
            + "</details>"
        )
    return "".join(parts)


def _row(group: ImageGroup, rows: np.ndarray, names: Sequence[str]) -> str:
    figures = ""
    for row in rows:
        known = group.labels[row] >= 0
        wrong = known and group.labels[row] != group.predicted[row]
        text = f"{group.confidences[row]:.0%}"
        if wrong:
            text += f" {names[group.labels[row]]}"
        shown = picture(
            group.images[row],
            _THUMBNAIL,
            2 * _THUMBNAIL,
            _told(group, row, names, UNLABELLED),
        )
        figures += (
            f"<figure{' class=wrong' if wrong else ''} "
            f'title="{html.escape(str(group.names[row]), quote=True)}">{shown}'
            f"{html.escape(text)}</figure>"
        )
    return f'<div class="row">{figures}</div>'


def suspects(
    images: np.ndarray,
    image_names: Sequence[str],
    found: LabelErrors,
    names: Sequence[str],
    most: int = _MOST_SUSPECTS,
) -> str:
    """The labelled images whose labels look most like wrong ones.

    Args:
        images: `(n, h, w, c)`.
        image_names: A text for each.
        found: Of their labels.
        names: One text for each class.
        most: How many are shown.
    """
    order = found.order[:most]
    others = int(np.sum(found.suggested != found.labels))
    text = (
        '<p class="soft">Each label was hidden in turn, and what the others and the '
        "images without labels say of its image is held against it. Of "
        f"{others:,} of {int(found.judged.sum()):,} another class is suggested; the "
        f"{len(order):,} most suspect ones, the first of them most. Many are right all "
        "the same: look before you change any.</p>"
    )
    figures = ""
    for row in order:
        label, suggested = found.labels[row], found.suggested[row]
        sure = found.probabilities[row, suggested]
        told = f"looks like {names[suggested]}" if suggested != label else "agreed"
        wrong = " class=wrong" if suggested != label else ""
        shown = picture(
            images[row],
            _LARGE_THUMBNAIL,
            2 * _LARGE_THUMBNAIL,
            f"{image_names[row]}: labelled {names[label]}, {told} {sure:.0%}",
        )
        figures += (
            f"<figure{wrong} "
            f'title="{html.escape(str(image_names[row]), quote=True)}">{shown}'
            f"<b>{html.escape(names[label])}</b>"
            f"<div>{html.escape(told)} {sure:.0%}</div>"
            f'<div class="name">{html.escape(_file_of(image_names[row]))}</div>'
            "</figure>"
        )
    return f'{text}<div class="row large">{figures}</div>'


def _file_of(name: str) -> str:
    """What the last part of a path is called."""
    return re.split(r"[/\\]", name)[-1]


def mending(table: str, how: str, command: str) -> str:
    """What a person does about suspect labels.

    Args:
        table: What the file with all of them is called.
        how: What is to be done, in a sentence.
        command: What goes on with the table, or none.
    """
    text = f'<p class="soft">All of them are in {html.escape(table)}. '
    text += f"{html.escape(how)}</p>"
    return text + (f"<pre class=next>{html.escape(command)}</pre>" if command else "")


def views(multi_crop: Any, images: np.ndarray, seed: int) -> str:
    """Some images and what training makes of them.

    Args:
        multi_crop: `MultiCrop`.
        images: `(N, h, w, c)`.
        seed: Of the views.
    """
    rows = np.linspace(0, len(images) - 1, min(_VIEWED, len(images))).astype(int)
    figure = draw_views(
        multi_crop,
        [images[row] for row in rows],
        draws=2,
        seed=seed,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png")
    width, height = (round(side) for side in figure.get_size_inches() * figure.dpi)
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<div class="scroll"><img alt="augmented views" width="{width}" '
        f'height="{height}" src="data:image/png;base64,{content}"></div>'
    )


def settings(chosen: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """What a run was trained with.

    Args:
        chosen: What `run.json` holds.
        metrics: What `metrics.json` holds.
    """
    rows = [
        (name.replace("_", " "), _plain(value))
        for name, value in chosen.items()
        if name != "versions" and value is not None
    ]
    versions = [(name, value) for name, value in metrics.get("versions", {}).items()]
    recipe = html.escape(json.dumps(metrics.get("recipe"), indent=2))
    return (
        table(rows)
        + "<h2>Versions</h2>"
        + table(versions)
        + f"<details><summary>Recipe</summary><div class='scroll'><pre>{recipe}</pre>"
        "</div></details>"
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value)
