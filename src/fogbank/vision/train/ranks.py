"""The processes that train one model together, over one instance or several.

Comes in: torchrun's environment (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT). Goes out:
a `Ranks`, which says who does what and carries values between the processes. Nothing is pickled:
values travel as JSON and as tensors.

Without such an environment there is one rank, everything here costs nothing, and a training is the
same to the bit as if this file did not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fogbank.vision.errors import SettingError

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)
"""How long a rank waits for another one. The others do wait while the first one trains the head; a
rank that died is noticed at once, by its closed connections; MaxRuntimeInSeconds ends the rest."""

_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Ranks:
    """This process among `size` ones; `rank` counts from 0, and rank 0 writes and speaks for all.

    Every method that talks to the others must be called by all ranks, in the same order.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.device = _device(local_rank, size)
        """The GPU of this process, or the CPU."""
        self._gradients: distributed.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes the model, the checkpoints and the metric lines."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def share(self, order: Sequence[int]) -> list[int]:
        """This rank's part of what all do together: every `size`-th, so that each of `order` is
        somebody's and nobody's twice. Unlike torch's DistributedSampler it pads nothing: the
        shares may differ by one, and of fewer than `size` some are empty."""
        return list(order[self.rank :: self.size])

    def same(self, value: T) -> T:
        """Rank 0's value, on every rank. The value must survive JSON; the others' is ignored."""
        if self.is_alone:
            return value
        content = json.dumps(value).encode() if self.is_first else b""
        decoded: T = json.loads(self.same_bytes(content))
        return decoded

    def same_bytes(self, content: bytes) -> bytes:
        """Rank 0's bytes, on every rank."""
        if self.is_alone:
            return content
        length = torch.tensor([len(content)])
        distributed.broadcast(length, 0)
        data = _to_tensor(content) if self.is_first else torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(data, 0)
        return bytes(data.numpy())

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in order of ranks. The values must survive JSON."""
        if self.is_alone:
            return [value]
        pieces = self.gather_rows(_to_tensor(json.dumps(value).encode()))
        return [json.loads(bytes(piece.numpy())) for piece in pieces]

    def gather_rows(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Every rank's rows, in order of ranks; they may differ in number, but in nothing else."""
        if self.is_alone:
            return [rows]
        length = torch.tensor([len(rows)])
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        distributed.all_gather(lengths, length)
        longest = max(int(each) for each in lengths)
        padded = rows.new_zeros((longest, *rows.shape[1:]))
        padded[: len(rows)] = rows
        pieces = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(pieces, padded)
        return [piece[: int(each)] for piece, each in zip(pieces, lengths, strict=True)]

    def total(self, *values: float) -> list[float]:
        """The sums over all ranks, in double precision."""
        if self.is_alone:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(sums)
        return [float(value) for value in sums]

    def same_weights(self, module: nn.Module) -> None:
        """Rank 0's weights and buffers, in every rank's module."""
        if self.is_alone:
            return
        with torch.no_grad():
            for value in module.state_dict().values():
                carried = value.detach().cpu().contiguous()
                distributed.broadcast(carried, 0)
                value.copy_(carried)

    def data_parallel(self, module: nn.Module, *, some_unused: bool) -> nn.Module:
        """The module whose `backward` averages the gradients over the ranks; alone, the module.

        some_unused: whether there are parameters that take no part in the output.
        """
        if self.is_alone:
            return module
        if self._gradients is None:
            self._gradients = self._gradient_group()
        wrapped: nn.Module = DistributedDataParallel(
            module,
            process_group=self._gradients,
            find_unused_parameters=some_unused,
        )
        return wrapped

    def _gradient_group(self) -> distributed.ProcessGroup | None:
        """NCCL where every rank has a GPU of its own; it refuses a GPU that two ranks share, as
        instances on one host may. gloo, the default group, carries gradients of both kinds."""
        mine = str(torch.cuda.get_device_properties(self.device).uuid) if self._has_gpu else ""
        gpus = self.gather(mine)
        if "" in gpus or len(set(gpus)) < self.size or not distributed.is_nccl_available():
            return None
        group = distributed.new_group(backend="nccl")
        assert isinstance(group, distributed.ProcessGroup), "every rank is in it"
        return group

    @property
    def _has_gpu(self) -> bool:
        return self.device.type == "cuda"


def _device(local_rank: int, size: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if size == 1:
        return torch.device("cuda")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def _to_tensor(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


@contextmanager
def joined(environ: Mapping[str, str]) -> Iterator[Ranks]:
    """The ranks of the process group that `environ` names, for the length of the block.

    Control and CPU tensors go over gloo; gradients of GPUs over NCCL, see `data_parallel`.
    `environ` must be the environment of this process: torch reads the rest there.

    Raises:
        SettingError: the environment names a group, but not all of it.
    """
    size = _number(environ, "WORLD_SIZE", 1)
    if size < 2:
        yield Ranks()
        return
    missing = [name for name in _VARIABLES if not environ.get(name)]
    if missing:
        raise SettingError(
            f"WORLD_SIZE is {size}, but {', '.join(missing)} is not set: start the script with "
            "torchrun, or unset WORLD_SIZE"
        )
    ranks = Ranks(_number(environ, "RANK", 0), size, _number(environ, "LOCAL_RANK", 0))
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    # Not in a `finally`: with an error on the way the others may never come, and this process ends.
    yield ranks
    distributed.barrier()
    distributed.destroy_process_group()


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise SettingError(f"{name} is {text!r}, not a whole number: it is torchrun that sets it")
    return int(text)
