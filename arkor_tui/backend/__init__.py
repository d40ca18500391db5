"""The embedded backend: the protocol of Arkor's cloud on this machine, with a real engine."""
