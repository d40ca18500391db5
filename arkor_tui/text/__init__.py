"""What comes from outside, made safe: to show, to keep, and as JSON."""
