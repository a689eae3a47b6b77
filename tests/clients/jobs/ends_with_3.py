"""Ends with a status of its own, and says why on standard error."""

import sys

print("ERROR: no pictures in the channel", file=sys.stderr)
sys.exit(3)
