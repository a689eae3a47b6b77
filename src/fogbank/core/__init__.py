"""Facts and small tools that every room may use. Imports the standard library only."""
