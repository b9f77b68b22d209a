"""TrainingProgress: one line on a terminal, lines in a file, the time that is left."""

import io
import types

import keras
import numpy as np
import pytest
from toys import toy_images, toy_model

from semppl_keras.callbacks import TrainingProgress
from semppl_keras.callbacks.status_line import StatusLine
from semppl_keras.callbacks.training_progress import figures_of, spoken_duration, within

LOGS = {
    "loss": 3.21412,
    "pseudo_label_confidence": 0.5,
    "pseudo_label_accuracy": 0.8314,
    "memory_fill": 0.459,
    "semantic": 2.0,
}


class Stream(io.StringIO):
    """What a terminal, or a file, was sent."""

    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    def on_screen(self):
        """The lines that a person sees."""
        screen = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for text in line.split("\r"):
                shown = text + shown[len(text) :]
            screen.append(shown.rstrip())
        return screen


class Training:
    """The hooks as `fit` calls them, a step after `seconds` each by a clock of its own.

    Attributes:
        time: now, in seconds.
        stream: `Stream`, stdout meanwhile.
    """

    def __init__(self, monkeypatch, *, terminal=True, columns=100, **arguments):
        monkeypatch.setenv("COLUMNS", str(columns))
        self.stream = Stream(terminal)
        monkeypatch.setattr("sys.stdout", self.stream)
        self.time = 1000.0
        self.progress = TrainingProgress(clock=lambda: self.time, **arguments)
        self.progress.set_model(types.SimpleNamespace(stop_training=False))

    def run(
        self, epochs, steps, seconds=1.0, *, compiling=0.0, begin=(0, 0), until=None
    ):
        """Returns the lines on the screen."""
        epoch, batch = begin
        self.progress.set_params(
            {"epochs": epochs, "steps": steps, "initial_batch": batch}
        )
        self.progress.on_train_begin()
        self.time += compiling
        for index in range(epoch, epochs):
            self.progress.on_epoch_begin(index)
            for step in range(batch, steps or 10):
                self.time += seconds
                self.progress.on_train_batch_end(step, LOGS)
                if (index, step) == until:
                    return self.stream.on_screen()
            self.progress.on_epoch_end(index, LOGS)
            batch = 0
        self.progress.on_train_end()
        return self.stream.on_screen()


@pytest.fixture
def training(monkeypatch):
    return lambda **arguments: Training(monkeypatch, **arguments)


@pytest.mark.any_backend
def test_a_terminal_of_100_columns_has_one_line_with_what_a_person_follows(training):
    shown = training().run(1000, 60, 0.5, compiling=100, until=(19, 59))
    assert shown == [
        "This training will take about 8 h 20 min.",
        "Epoch 20/1000 [----------] loss 3.214, pseudo-labels 83.1% right, 8 h 10 min "
        "left, memory 45% full",
    ]
    assert len(shown[1]) < 100
    # At the end it stays, and what comes next begins a line.
    assert training().run(4, 50, 1.0) == [
        "Epoch 4/4 [##########] loss 3.214, pseudo-labels 83.1% right, memory 45% full",
        "",
    ]


@pytest.mark.any_backend
@pytest.mark.parametrize("columns", [100, 80, 60, 40, 20, 8, 1])
def test_the_line_is_never_wider_than_the_terminal(training, columns):
    driven = training(columns=columns, long_minutes=1e6)
    driven.run(100, 20)
    texts = driven.stream.getvalue().rstrip("\n").split("\r")
    assert len(texts) > 1000
    assert max(map(len, texts)) <= max(1, columns - 1)
    figures = ["loss 3.2", "pseudo-labels 83% right", "5 min left", "memory 45% full"]
    lines = [within("Epoch 1/9", figures, width) for width in range(120)]
    for width, line in enumerate(lines):
        assert len(line) <= width
        assert "Epoch 1/9 " + ", ".join(figures) in [line, *lines[width:]]
    # Dropped from the right, one by one.
    assert len(set(lines[9:])) == 1 + len(figures)


@pytest.mark.any_backend
def test_a_line_is_written_a_few_times_a_second(training):
    driven = training()
    driven.run(2, 1000, 0.01)
    # And at the end of each epoch.
    assert driven.stream.getvalue().count("\r") <= 2 * 10 / 0.2 + 2


@pytest.mark.any_backend
def test_time_left_is_of_the_whole_training_without_compilation(training):
    driven = training(long_minutes=1e6)
    # After 30 of 100 steps of 2 s.
    driven.run(10, 10, 2.0, compiling=500, until=(2, 9))
    assert "2 min 20 s left" in driven.stream.on_screen()[-1]
    # What was done before has taken no time here.
    driven = training(long_minutes=1e6)
    driven.run(10, 10, 2.0, compiling=500, begin=(7, 4), until=(8, 9))
    assert "Epoch 9/10 [#########-]" in driven.stream.on_screen()[-1]
    assert " 20 s left" in driven.stream.on_screen()[-1]
    # The number of steps may show at the end of the first epoch alone.
    driven = training(long_minutes=1e6)
    driven.run(10, None, 2.0, until=(0, 8))
    assert "left" not in driven.stream.on_screen()[-1]
    driven.run(10, None, 2.0, until=(4, 9))
    assert "1 min 40 s left" in driven.stream.on_screen()[-1]


@pytest.mark.any_backend
def test_a_log_that_comes_late_is_passed_over(training):
    driven = training(long_minutes=1e6)
    driven.run(2, 100, 1.0, until=(0, 49))
    before = driven.stream.getvalue()
    driven.progress.on_train_batch_end(20, {"loss": 9.0})
    driven.time += 1
    assert driven.stream.getvalue() == before
    driven.progress.on_train_batch_end(51, {"loss": 7.0})
    assert driven.stream.on_screen()[-1].startswith(
        "Epoch 1/2 [##--------] loss 7.000,"
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("terminal", [True, False])
def test_a_long_training_says_so_once_with_what_to_lower(training, terminal):
    driven = training(terminal=terminal, shorten="A lower --epochs takes less.")
    shown = driven.run(60, 100, 0.5, compiling=30)
    told = [line for line in shown if "will take" in line]
    assert told == [
        "This training will take about 50 min. A lower --epochs takes less."
    ]
    # Ten seconds of steps are enough to know.
    assert shown[0] == told[0]
    driven = training(terminal=terminal)
    told = driven.run(60, 100, 0.5, begin=(20, 50), until=(21, 0))[0]
    assert told == "What is left of it will take about 33 min."
    for arguments in ({}, {"long_minutes": 40.0}, {"verbose": 0}):
        driven = training(terminal=terminal, **arguments)
        steps = 100 if arguments else 20
        shown = driven.run(11, steps, 2.0 if arguments else 0.5)
        assert "will take" not in " ".join(shown)


@pytest.mark.any_backend
def test_a_file_has_a_line_for_each_epoch_and_some_within_long_ones(training):
    driven = training(terminal=False, long_minutes=1e6)
    shown = driven.run(3, 10)
    assert shown == [
        "Epoch 1/3: loss 3.214, pseudo-labels 83.1% right, 20 s left, memory 45% full",
        "Epoch 2/3: loss 3.214, pseudo-labels 83.1% right, 10 s left, memory 45% full",
        "Epoch 3/3: loss 3.214, pseudo-labels 83.1% right, memory 45% full",
        "",
    ]
    assert "\r" not in driven.stream.getvalue()
    shown = training(terminal=False, long_minutes=1e6).run(1, 200)
    assert [line.split(":")[0] for line in shown] == [
        "Epoch 1/1, step 60 of 200",
        "Epoch 1/1, step 120 of 200",
        "Epoch 1/1, step 180 of 200",
        "Epoch 1/1",
        "",
    ]
    # Epochs of a moment.
    shown = training(terminal=False, epoch_seconds=10.0).run(100, 5, 0.125)
    assert [line.split(":")[0] for line in shown] == [
        "Epoch 16/100",
        "Epoch 32/100",
        "Epoch 48/100",
        "Epoch 64/100",
        "Epoch 80/100",
        "Epoch 96/100",
        "",
    ]


@pytest.mark.any_backend
@pytest.mark.parametrize("terminal", [True, False])
def test_verbose_says_how_much(training, terminal):
    assert training(terminal=terminal, verbose=0).run(2, 300, 9.0) == [""]
    shown = training(terminal=terminal, verbose=2).run(2, 10)
    everything = (
        "loss 3.214, pseudo_label_confidence 0.5, pseudo_label_accuracy 0.8314, "
        "memory_fill 0.459, semantic 2"
    )
    for epoch in (1, 2):
        assert f"Epoch {epoch}/2: {everything}" in shown
    with pytest.raises(ValueError, match="`verbose` must be 0, 1 or 2.*verbose=3"):
        TrainingProgress(verbose=3)
    with pytest.raises(ValueError, match="`long_minutes` must be positive"):
        TrainingProgress(long_minutes=0)


@pytest.mark.any_backend
def test_figures_are_those_that_there_are():
    assert figures_of({}, None) == []
    assert figures_of({"loss": float("nan"), "memory_fill": 1.0}, 0.0) == ["loss nan"]
    logs = {"loss": 1e-5, "pseudo_label_accuracy": float("nan")}
    logs["pseudo_label_confidence"] = 0.25
    assert figures_of(logs, None) == ["loss 1.000e-05", "pseudo-labels 25.0% sure"]
    assert figures_of({"loss": 2.0, "teacher_agreement": 0.5}, 59.6) == [
        "loss 2.000",
        "as the teacher 50.0%",
        "1 min left",
    ]
    # It is full when it is.
    assert figures_of({"memory_fill": 0.9999}, None) == ["memory 99% full"]
    assert figures_of({"propagation_seconds": 7.6}, None) == ["graph 8 s"]
    assert figures_of({"propagation_seconds": 0.4}, None) == []


@pytest.mark.any_backend
def test_durations_are_said_in_two_units():
    said = {
        0.2: "1 s",
        59.4: "59 s",
        64: "1 min",
        65.1: "1 min 10 s",
        594: "9 min 50 s",
        596: "10 min",
        3569: "59 min",
        3571: "1 h",
        2 * 3600 + 600: "2 h 10 min",
        48 * 3600: "2 d",
        50 * 3600 + 1800 + 60: "2 d 3 h",
    }
    assert {seconds: spoken_duration(seconds) for seconds in said} == said


@pytest.mark.any_backend
def test_a_status_line_covers_what_was_there(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = Stream(terminal=True)
    line = StatusLine(stream)
    line.end()
    line.show("a long text that has no room")
    line.show("short")
    assert stream.on_screen() == ["short"]
    line.say("this stays")
    line.show("2 of 3")
    line.end()
    line.end()
    line.say("the end")
    assert stream.on_screen() == ["this stays", "2 of 3", "the end", ""]
    assert not StatusLine(Stream(terminal=False)).on_terminal


@pytest.mark.any_backend
@pytest.mark.parametrize("terminal", [True, False])
def test_in_a_training_it_stands_for_keras_bar_and_changes_nothing(
    monkeypatch, terminal
):
    images, labels = toy_images(36)
    histories, shown = [], []
    for callbacks in ([], [TrainingProgress(clock=lambda: 0.0)]):
        stream = Stream(terminal)
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("COLUMNS", "100")
        keras.utils.set_random_seed(3)
        untraced = {"run_eagerly": keras.backend.backend() != "jax"}
        model = toy_model(compile_arguments=untraced)
        history = model.fit(
            (images[9:27], np.where(labels[9:27] == 2, -1, labels[9:27])),
            (images[:9], labels[:9]),
            epochs=2,
            batch_size=9,
            labelled_batch_size=3,
            callbacks=callbacks,
            verbose=0,
        )
        histories.append(history.history)
        shown.append(stream.on_screen())
    monkeypatch.undo()
    assert histories[0] == histories[1]
    assert shown[0] == [""]
    loss = f"loss {histories[1]['loss'][-1]:#.4g}"
    accuracy = f"{histories[1]['pseudo_label_accuracy'][-1]:.1%} right"
    if terminal:
        (line, rest) = shown[1]
        assert line.startswith(f"Epoch 2/2 [##########] {loss}, ")
    else:
        (_, line, rest) = shown[1]
        assert line.startswith(f"Epoch 2/2: {loss}, ")
    assert f"pseudo-labels {accuracy}" in line
    assert rest == ""
