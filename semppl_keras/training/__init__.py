"""The engine: one `fit` and one step on every backend, and the network that follows."""
