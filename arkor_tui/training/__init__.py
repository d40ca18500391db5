"""The SDK: describe a run, start it, follow it, stop it."""
