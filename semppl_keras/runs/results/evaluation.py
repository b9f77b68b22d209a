"""What `semppl_keras.runs.evaluate` gives back for each run."""

from semppl_keras.reports.evaluation_table import evaluation_headline, format_evaluation
from semppl_keras.runs.results.result import Result


class Evaluation(Result):
    """What `evaluation.json` of a run holds, as a dict.

    Example:
        >>> (evaluation,) = evaluate("runs/photos")
        >>> evaluation["rows"]["linear_probe"]["top1"]
        >>> print(evaluation.table())
    """

    def summary(self) -> str:
        """What was tested on, and the accuracy of each classifier."""
        rows = self["rows"].values()
        measured = ", ".join(f"{row['title']} {row['top1']:.1%}" for row in rows)
        return f"{evaluation_headline(self)}: {measured}"

    def table(self) -> str:
        """The table of classifiers, and of corruptions."""
        return format_evaluation(self)
