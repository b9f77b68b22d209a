"""The network of an earlier run, as a run that goes on begins with it."""

from semppl_keras.pretraining import SemPPL
from semppl_keras.pretraining.continued import remember_images, with_classes
from semppl_keras.runs.job import Job
from semppl_keras.runs.prediction_progress import PredictionProgress
from semppl_keras.runs.progress import Progress
from semppl_keras.runs.run_models import EARLIER
from semppl_keras.runs.safety.loading import load_model
from semppl_keras.runs.telling import tell


def earlier_network(job: Job, *, begun: bool = False) -> SemPPL:
    """The network that a run goes on from, for the classes and labels of now.

    Backbone, projector and predictor are those of the earlier run; its memory is, too,
    as far as its labels still hold, and behind these it gets all labelled images of now
    as the network sees them.

    Args:
        job: The run that goes on.
        begun: Whether its memory is of no use, since another goes on.

    Returns:
        A `SemPPL` of images, not compiled where the classes are others.

    Raises:
        RunError: The file is gone, or none of this run.
    """
    data, note = job.data, job.settings["from"]
    model = load_model(job.folder / EARLIER, SemPPL, trust=job.trust)
    before, now = note["class_names"], list(data.class_names)
    if before != now:
        numbers = {
            number: now.index(name) for number, name in enumerate(before) if name in now
        }
        model = with_classes(model, len(now), numbers)
    elif note["same_labels"]:
        return model
    if begun:
        return model
    labels = note.get("labels")
    # What is in the memory has no image's name on it.
    alone = labels is None or bool(labels["changed"] or labels["removed"])
    if alone:
        tell(
            "The memory begins anew with the labelled images of now: some of the "
            "earlier labels hold no more, or are not known by name."
        )
    told = PredictionProgress(
        Progress("Remembering,"), "labelled images", len(data.labelled_indices)
    )
    remember_images(
        model, data.x_labelled, data.y_labelled, alone=alone, callbacks=[told]
    )
    return model
