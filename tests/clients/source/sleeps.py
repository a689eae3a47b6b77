"""A training script that nobody waits for."""

import time

time.sleep(600)  # noqa: TID251 - a script of a user's
