"""Rows of a dataset: how they are laid out, where they come from, a look at them."""
