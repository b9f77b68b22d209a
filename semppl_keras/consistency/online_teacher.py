"""The network is its own teacher."""

from typing import Any

import keras

from semppl_keras.consistency.teacher import Teacher


@keras.saving.register_keras_serializable(package="semppl_keras")
class OnlineTeacher(Teacher):
    """The network that is trained says itself what weak views show, as in FixMatch.

    Weak and strong views pass it together with the labelled ones, so that batch
    normalisation takes its statistics over all of them; no gradient goes through what
    is predicted.
    """

    online = True

    def call(self, views: Any) -> dict[str, Any]:
        """It has no network of its own to look at views with.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "`OnlineTeacher` predicts in the pass of the network that is trained."
        )
