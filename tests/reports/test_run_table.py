"""What is told of a run's results."""

import pytest

from semppl_keras.reports.run_table import chosen_by

pytestmark = pytest.mark.any_backend


def measured(**means):
    return {name: {"mean": mean, "std_error": 0.1} for name, mean in means.items()}


def test_a_classifier_is_told_beside_the_best_of_the_others():
    by_name = measured(linear=0.8, student=0.7, frozen_linear=0.75, pixels=0.5)
    told = chosen_by({"classifier": "linear", "classifier_cv_accuracies": by_name})
    assert told == (
        "linear probe, 80.0% by cross-validation on the labels "
        "(logistic regression on frozen features: 75.0%)"
    )


def test_what_was_chosen_by_the_number_of_its_part_is_told_by_that():
    by_name = measured(combined=0.6, patches=0.7, linear=0.9)
    told = chosen_by({"classifier": "combined", "classifier_cv_accuracies": by_name})
    assert told == (
        "all networks together, 70.0% by cross-validation on the labels for a part of "
        "them, a graph over patches and gradients, without training"
    )


def test_where_too_few_labels_could_be_held_out_no_number_is_told():
    by_name = {"memory": None}
    told = chosen_by({"classifier": "memory", "classifier_cv_accuracies": by_name})
    assert told.startswith("nearest in its memory, which is expected to be the best")
