"""One run: its job, its callbacks, the files that it is made from."""
