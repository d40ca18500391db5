"""Charts of metrics in a terminal, drawn through plotext."""
