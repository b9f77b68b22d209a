"""A function for each method of consistency training; `named_consistency` lists them."""
