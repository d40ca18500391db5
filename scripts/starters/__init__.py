"""How the starters' datasets are made."""
