#!/bin/sh
# A child of the shell is killed; the shell passes that on as 128 + 9.
python3 killed.py
