#!/bin/sh
# Writes down what a shell script sees, by the same means as show.py.
exec python3 show.py "$@"
