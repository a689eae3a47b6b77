"""The root of Fogbank's exceptions.

FogbankError                  anything that we raise on purpose
├── InputError                the person's input is wrong; the message says where, what, what to do
├── WorldError                something outside failed: a process, a disk, a network, AWS
└── cloud.errors.ServiceError an answer of the cloud to a client (has its own tree, see there)

A bug of ours is an AssertionError or a RuntimeError, never one of these.
"""

from __future__ import annotations


class FogbankError(Exception):
    """Anything that Fogbank raises on purpose. `str(error)` is fit to be shown to a person."""


class InputError(FogbankError, ValueError):
    """The input is wrong: names the field or file, and the valid choices."""


class WorldError(FogbankError):
    """The world outside failed: says what was tried and what to do next."""
