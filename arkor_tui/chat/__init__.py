"""Talking to models: a prompt to one target, typed replies, tools, judging."""
