"""A training script whose processes form a group, as torchrun starts them."""

import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
value = torch.tensor([dist.get_rank() + 1])
dist.all_reduce(value)
print(
    f"rank {dist.get_rank()} of {dist.get_world_size()} on {os.environ['SM_CURRENT_HOST']}: "
    f"sum {int(value)}",
    flush=True,
)
if dist.get_rank() == 0:
    torch.save({"sum": value}, os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))  # noqa: PTH118
dist.destroy_process_group()
