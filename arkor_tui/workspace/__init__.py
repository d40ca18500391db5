"""What is on disk for one person and one project: credentials, project state, settings, folders."""
