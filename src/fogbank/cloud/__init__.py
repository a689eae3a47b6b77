"""The local cloud: request -> codec -> service -> record; record -> rule -> machine -> record."""
