"""The background worker: owns a run's stream and its cancellation, free of any user interface."""
