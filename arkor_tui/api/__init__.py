"""The wire: what is sent to and read from an Arkor-compatible backend."""
