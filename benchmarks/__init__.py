"""Measurements: ratios of things that ran side by side, never asserted in a test."""
