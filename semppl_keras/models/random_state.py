"""Saving the state of random generators, which Keras leaves out."""


class SavesRandomState:
    """A Keras model whose random generators go on where they were saved."""

    @property
    def _random_states(self):
        return [v for v in self.variables if v.path.endswith("seed_generator_state")]

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for index, variable in enumerate(self._random_states):
            store[f"random_state_{index}"] = variable

    def load_own_variables(self, store):
        random_states = [key for key in store.keys() if key.startswith("random_state")]  # noqa: SIM118
        super().load_own_variables(
            {key: store[key] for key in store.keys() if key not in random_states}  # noqa: SIM118
        )
        for index, variable in enumerate(self._random_states):
            variable.assign(store[f"random_state_{index}"])
