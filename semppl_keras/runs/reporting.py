"""`semppl report`: a finished run on one page that needs nothing but itself."""

import base64
import html
import io
import json
import math
import os
import pathlib

import numpy as np

from semppl_keras.evaluation import confusion_matrix, cross_validated_predictions
from semppl_keras.export import ImageEmbedder
from semppl_keras.reports.embedding_map import STYLE as _MAP_STYLE
from semppl_keras.reports.embedding_map import embedding_map
from semppl_keras.reports.html_pages import page, picture, table
from semppl_keras.reports.run_picture import embed_in_plane
from semppl_keras.reports.svg_charts import line_chart
from semppl_keras.reports.view_grid import draw_views
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.finished import FinishedRun, as_probabilities
from semppl_keras.runs.folder import user_errors
from semppl_keras.runs.json_files import Entry, check_entries, read_json
from semppl_keras.runs.measures import format_table, read_metrics
from semppl_keras.runs.out_paths import check_can_write

# On the map: t-SNE's time grows with their square.
_MOST_LABELLED, _MOST_TEST, _MOST_UNLABELLED = 250, 400, 400
_PER_CLASS = 10
_THUMBNAIL = 64
_VIEWED = 6
# A larger matrix cannot be read.
_MOST_IN_MATRIX = 40
_MOST_CONFUSIONS = 10

_LOSS = ("loss", "augmentation", "semantic", "invariance", "semantic_invariance")
_PSEUDO_LABELS = ("pseudo_label_confidence", "pseudo_label_accuracy", "memory_fill")
_SHARES = ("embedding_std", "target_momentum")

_STYLE = """
.charts { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); }
.chart svg { width: 100%; height: auto; display: block; }
.key { display: inline-block; font-size: 13px; margin-right: 12px; }
pre { font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; margin: 0; }
.matrix td, .matrix th { padding: 0; text-align: center; vertical-align: middle;
  font-size: 12px; font-weight: normal; min-width: 30px; height: 26px;
  border: 1px solid #fff; }
.matrix th { color: var(--soft); }
.matrix th span { display: block; max-width: 150px; padding: 0 6px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; text-align: right; }
.matrix th[scope=col] { vertical-align: bottom; }
.matrix th[scope=col] span { writing-mode: vertical-rl; transform: rotate(180deg);
  max-height: 150px; padding: 6px 0; margin: auto; text-align: left; }
.matrix.short th[scope=col] span { writing-mode: initial; transform: none; padding: 0;
  text-align: center; }
.row { display: flex; flex-wrap: wrap; gap: 6px; margin: 4px 0 10px; }
.row figure { margin: 0; width: 66px; font-size: 11px; text-align: center;
  color: var(--soft); }
.row img { border: 1px solid var(--line); }
.row figure.wrong { color: #b3261e; font-weight: 600; }
.row figure.wrong img { border-color: #b3261e; outline: 1px solid #b3261e; }
@media (max-width: 480px) { pre { font-size: 10px; }
  .matrix th span { max-width: 110px; } }
summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
"""


def run(arguments):
    """Writes the page, as the parsed arguments say.

    Args:
        arguments: Namespace with `run`, `classifier` and `out` (None where not given).

    Returns:
        `pathlib.Path` of the page.

    Raises:
        RunError: What the user asked for cannot be done.
    """
    finished = FinishedRun(arguments.run, trust=arguments.trust)
    out = finished.folder / "report.html"
    if arguments.out is not None:
        out = pathlib.Path(arguments.out)
        check_can_write(out)
        if out.exists():
            raise RunError(f"{out} exists already. Choose another --out.")
    # Before anything takes long.
    read_metrics(finished.folder)
    _history(finished.folder / "history.json")
    classifier, how = finished.classifier(arguments.classifier)
    print(f"Reporting {finished.folder} with its {how} ...", flush=True)
    text = report_page(finished, classifier, how)
    with user_errors():
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(out.name + ".partial")
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(partial, out)
    print(f"To be opened with a browser: {out}")
    return out


def report_page(finished, classifier, how):
    """The page of a run.

    Args:
        finished: `FinishedRun`.
        classifier: `ImageClassifier` of its classes.
        how: What it is called.

    Returns:
        HTML.
    """
    folder, data = finished.folder, finished.data
    metrics = read_metrics(folder)
    history = _history(folder / "history.json")
    groups = _groups(finished, classifier)
    map_html, script = _map(finished, groups)
    sections = [
        ("", _summary(metrics, folder, finished)),
        ("Training", _curves(history)),
        ("Images in the learned representation", map_html),
        ("Confusion", _confusion(finished, groups, how)),
        (
            "The most and the least certain images of each class",
            _certain(groups, finished.class_names),
        ),
        ("Augmented views, as in training", _views(finished)),
        ("Settings and versions", _settings(finished.settings, metrics)),
    ]
    body = "\n".join(
        "<section>"
        + (f"<h2>{html.escape(title)}</h2>" if title else "")
        + content
        + "</section>"
        for title, content in sections
        if content
    )
    return page(f"{data.name}: {folder.name}", body, _STYLE + _MAP_STYLE, script)


def how_to_go_on(arguments):
    """The sentence for someone who has just interrupted it."""
    return "Nothing was written. Run the same command again."


# -- what is shown ----------------------------------------------------------------


class _Group:
    """Images of a kind, with what the classifier says of them.

    Args:
        classifier: `ImageClassifier`.
        images: `(N, h, w, c)`.
        names: list of str.
        labels: `(N,)` integers, -1 for unknown.
    """

    def __init__(self, classifier, images, names, labels):
        self.images, self.names, self.labels = images, names, labels
        embedder = ImageEmbedder(classifier.backbone, classifier.views)
        self.features = embedder.predict(images, verbose=0)
        self.probabilities = as_probabilities(classifier, self.features)
        self.predicted = self.probabilities.argmax(axis=1)
        self.confidences = self.probabilities.max(axis=1)


def _groups(finished, classifier):
    """By kind (0 not labelled, 1 test, 2 labelled) the `_Group`s that there are."""
    data = finished.data
    names = getattr(data, "train_names", ())
    unlabelled = data.unlabelled_indices
    labelled = [
        names[index] if names else f"labelled image {place}"
        for place, index in enumerate(data.labelled_indices)
    ]
    groups = {
        2: _Group(classifier, data.x_labelled, labelled, data.y_labelled),
        0: _Group(
            classifier,
            data.x_unlabelled,
            [names[i] if names else f"training image {i}" for i in unlabelled],
            data.y_hidden,
        ),
    }
    if data.x_test is not None and len(data.x_test):
        count = len(data.x_test)
        groups[1] = _Group(
            classifier,
            data.x_test,
            list(getattr(data, "test_names", ()))
            or [f"test image {index}" for index in range(count)],
            np.full(count, -1) if data.y_test is None else data.y_test,
        )
    return groups


def _summary(metrics, folder, finished):
    text = html.escape(format_table(metrics, folder))
    remarks = "".join(
        f"<li>{html.escape(str(remark))}</li>"
        for remark in getattr(finished.data, "remarks", ())
    )
    skipped = getattr(finished.data, "skipped", ())
    files = "".join(
        f"<li>{html.escape(str(entry.name))}: {html.escape(str(entry.reason))}</li>"
        for entry in skipped
    )
    return (
        f'<div class="scroll"><pre>{text}</pre></div>'
        + (f"<h2>Notes</h2><ul>{remarks}</ul>" if remarks else "")
        + (
            f"<details><summary>{len(skipped):,} "
            f"{'file' if len(skipped) == 1 else 'files'} that could not be read"
            f"</summary><ul>{files}</ul></details>"
            if skipped
            else ""
        )
    )


def _history(path):
    """By name the values of every epoch."""
    history = read_json(path)
    check_entries(path, history, dict.fromkeys(history, _VALUES))
    return history


def _are_numbers(values):
    """Whether all can be drawn, or are left out of charts since they are not finite."""
    return all(
        value is None
        or (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and not 1e300 < abs(value) < math.inf
            and not 0 < abs(value) < 1e-300
        )
        for value in values
    )


# In `history.json`: of every epoch.
_VALUES = Entry(list, _are_numbers, "that is a list of numbers")


def _curves(history):
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
    return f'<div class="charts">{"".join(charts)}</div>'


def _map(finished, groups):
    generator = np.random.default_rng(finished.settings["seed"])
    most = {0: _MOST_UNLABELLED, 1: _MOST_TEST, 2: _MOST_LABELLED}
    images, features, classes, kinds, texts = [], [], [], [], []
    names = finished.class_names
    for kind, group in groups.items():
        count = min(most[kind], len(group.images))
        rows = np.sort(generator.choice(len(group.images), count, replace=False))
        images.append(group.images[rows])
        features.append(group.features[rows])
        known = group.labels[rows] >= 0
        # What is not labelled shows what it is taken for, even where it is known.
        shown = np.where(known & (kind > 0), group.labels[rows], group.predicted[rows])
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


def _told(group, row, names, kind):
    text = f"{group.names[row]}: {names[group.predicted[row]]} "
    text += f"{group.confidences[row]:.0%}"
    if group.labels[row] >= 0:
        text += f", {'label' if kind == 2 else 'truly'} {names[group.labels[row]]}"
    return text


def _confusion(finished, groups, how):
    data, names = finished.data, finished.class_names
    if 1 in groups and data.y_test is not None:
        predicted, labels = groups[1].predicted, groups[1].labels
        where = f"On the test images, {how}"
    elif np.bincount(data.y_labelled, minlength=len(names)).min() >= 2:
        predicted = cross_validated_predictions(
            finished.model.embed(data.x_labelled),
            data.y_labelled,
            seed=finished.settings["seed"],
        )
        labels = data.y_labelled
        where = (
            "There are no labelled test images. By cross-validation of the linear "
            "probe on the labelled ones, optimistic, since the network has trained "
            "with them"
        )
    else:
        return (
            '<p class="soft">There are no labelled test images, and too few labels to '
            "hold any out: semppl train --test names some.</p>"
        )
    counts = confusion_matrix(predicted, labels, len(names))
    correct = np.trace(counts)
    text = (
        f"<p>{html.escape(where)}: {correct:,} of {counts.sum():,} right "
        f"({correct / counts.sum():.1%}). A row for each true class, a column for what "
        "it is taken for.</p>"
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


def _matrix(counts, names):
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


def _certain(groups, names):
    """Of the images that are not labelled, by what they are taken for."""
    group = groups[0]
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


def _row(group, rows, names):
    figures = ""
    for row in rows:
        known = group.labels[row] >= 0
        wrong = known and group.labels[row] != group.predicted[row]
        text = f"{group.confidences[row]:.0%}"
        if wrong:
            text += f" {names[group.labels[row]]}"
        shown = picture(
            group.images[row], _THUMBNAIL, 2 * _THUMBNAIL, _told(group, row, names, 0)
        )
        figures += (
            f"<figure{' class=wrong' if wrong else ''} "
            f'title="{html.escape(str(group.names[row]), quote=True)}">{shown}'
            f"{html.escape(text)}</figure>"
        )
    return f'<div class="row">{figures}</div>'


def _views(finished):
    images = finished.data.x_unlabelled
    rows = np.linspace(0, len(images) - 1, min(_VIEWED, len(images))).astype(int)
    figure = draw_views(
        finished.model.views,
        [images[row] for row in rows],
        draws=2,
        seed=finished.settings["seed"],
    )
    file = io.BytesIO()
    figure.savefig(file, format="png")
    width, height = (round(side) for side in figure.get_size_inches() * figure.dpi)
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<div class="scroll"><img alt="augmented views" width="{width}" '
        f'height="{height}" src="data:image/png;base64,{content}"></div>'
    )


def _settings(settings, metrics):
    rows = [
        (name.replace("_", " "), _plain(value))
        for name, value in settings.items()
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


def _plain(value):
    return value if isinstance(value, str | int | float) else json.dumps(value)
