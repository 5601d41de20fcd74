"""Commands: thin, each a `main(args=None)` that returns an exit code."""
