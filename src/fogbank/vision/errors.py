"""What can be wrong with a person's input to the workload.

WorkloadError               anything raised here on purpose; `str(error)` is fit to be shown
├── SettingError            a hyperparameter has a value that cannot work
├── DataError               the folder of pictures cannot be trained on
├── WeightsError            pretrained weights are missing or do not fit the network
├── ArtifactError           the model folder is missing, foreign or damaged
├── TrainingDivergedError   the loss is no longer a number
└── RequestError            a request to the endpoint cannot be answered; carries `status_code`
    ├── NotAPicture             400
    ├── BadRequest              400
    ├── UnsupportedAccept       406
    └── UnsupportedContentType  415

The inference server answers `status_code` where an exception of user code carries one, else 500.
"""

from __future__ import annotations


class WorkloadError(Exception):
    """Anything that the workload raises on purpose: says where, what, and what to do next."""


class SettingError(WorkloadError, ValueError):
    """A hyperparameter has a value that cannot work."""


class DataError(WorkloadError, ValueError):
    """The folder of pictures cannot be trained on."""


class WeightsError(WorkloadError):
    """Pretrained weights are missing or do not fit the network."""


class ArtifactError(WorkloadError):
    """The model folder is missing, foreign or damaged."""


class TrainingDivergedError(WorkloadError):
    """The loss is no longer a finite number."""


class RequestError(WorkloadError):
    """A request that cannot be answered. `status_code` is the HTTP status of the answer."""

    status_code = 400


class NotAPicture(RequestError):
    """The bytes are no picture that can be classified."""


class BadRequest(RequestError):
    """The request body does not have the documented form."""


class UnsupportedAccept(RequestError):
    """The client accepts nothing that can be produced (HTTP 406)."""

    status_code = 406


class UnsupportedContentType(RequestError):
    """The body is of a type that cannot be read (HTTP 415)."""

    status_code = 415
