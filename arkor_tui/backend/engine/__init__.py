"""The engine: real LoRA training and inference, each in a child process (``ipc`` has the protocol).

Importing this package imports nothing heavy. torch, transformers and peft are imported by the
modules that need them, and only inside the two children.
"""
