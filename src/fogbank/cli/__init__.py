"""The command line. One file a command: parse, call one room, print."""
