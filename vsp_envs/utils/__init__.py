"""Nothing of the project: choices by name, files, the command line."""
