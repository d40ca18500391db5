"""What is on disk for one person and one project: credentials, state, settings, folders."""
