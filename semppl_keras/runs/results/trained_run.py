"""What `semppl_keras.runs.train` gives back."""

from semppl_keras.evaluation.classifier_titles import title
from semppl_keras.reports.run_table import format_run, run_headline
from semppl_keras.runs.results.result import Result


class TrainedRun(Result):
    """What `metrics.json` of a finished run holds, as a dict.

    Example:
        >>> run = train(out="runs/new")
        >>> run["linear_accuracy"]
        >>> print(run.table())
    """

    def summary(self) -> str:
        """What was trained on, and the accuracy of the classifier that is used."""
        told = run_headline(self)
        name = self.get("classifier")
        if name is not None:
            return f"{told}: {self._chosen(name)}"
        if self["linear_accuracy"] is not None:
            return f"{told}: linear probe {self['linear_accuracy']:.1%}"
        if self["cross_validated"] is not None:
            accuracy = self["cross_validated"]["linear_accuracy"]
            return f"{told}: linear probe {accuracy:.1%} in cross-validation"
        return f"{told}: not measured"

    def _chosen(self, name: str) -> str:
        accuracy, measured = self["classifier_accuracy"], " of the test images"
        if accuracy is None:
            own = self["classifier_cv_accuracies"].get(name)
            accuracy, measured = own and own["mean"], " in cross-validation"
        called = title(name, untrained=self.get("untrained", False))
        if accuracy is None:
            return f"{called}, not measured"
        return f"{called} {accuracy:.1%}{measured}"

    def table(self) -> str:
        """The table that a run ends with."""
        return format_run(self, self.folder)
