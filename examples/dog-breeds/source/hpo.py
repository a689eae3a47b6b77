"""Train a classifier of pictures: a trial of a tuning job, or the final training.

SM_CHANNEL_TRAINING holds train/ and valid/, in each a folder a class. Only train/ is learned from;
what is printed, and tuned for, is measured on valid/. A test set has no business here.

The backbone is frozen, so what it sees in a picture never changes: it looks once at each. Only the
head is trained, for many epochs in seconds. Started by torchrun, all processes share both parts.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
import torch.distributed as dist
from network import NUM_FEATURES, Classifier, load_pretrained, preprocessing, read_picture
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, Subset, TensorDataset
from torchvision.datasets import ImageFolder

RANK = int(os.environ.get("RANK", "0"))
WORLD_SIZE = int(os.environ.get("WORLD_SIZE", "1"))


def main() -> None:
    """Read, train, tell, save."""
    arguments = parse()
    torch.manual_seed(arguments.seed)
    device = start_processes()

    preprocess = preprocessing(arguments.backbone)
    splits = {
        split: ImageFolder(arguments.data / split, preprocess, loader=read_picture)
        for split in ("train", "valid")
    }
    labels = splits["train"].classes
    if splits["valid"].classes != labels:
        raise SystemExit(f"train/ has the classes {labels}, valid/ {splits['valid'].classes}")

    network = Classifier(arguments.backbone, len(labels))
    load_pretrained(network.features, arguments.backbone)
    network.to(device)
    seen = {split: see(network.features, pictures, device) for split, pictures in splits.items()}
    train_head(network.head, seen["train"], seen["valid"], arguments)

    if RANK == 0:
        torch.save(network.state_dict(), arguments.model_dir / "model.pth")
        card = {"backbone": arguments.backbone, "labels": labels}
        (arguments.model_dir / "model.json").write_text(json.dumps(card))
    if WORLD_SIZE > 1:
        dist.destroy_process_group()


def parse() -> argparse.Namespace:
    """Hyperparameters arrive as arguments, places as SM_* variables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", choices=NUM_FEATURES, default="efficientnet_lite0")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32, help="of all processes together")
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR"))
    return parser.parse_args()


def start_processes() -> torch.device:
    """Join the other processes, if there are any. Returns where this one computes."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if WORLD_SIZE > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    return torch.device("cuda" if cuda else "cpu")


@torch.inference_mode()
def see(features: nn.Module, pictures: ImageFolder, device: torch.device) -> TensorDataset:
    """What the backbone sees in all pictures; each process looks at its share of them."""
    features.eval()  # also BatchNorm: in training mode it would go on changing its averages
    share = Subset(pictures, range(RANK, len(pictures), WORLD_SIZE))
    parts = [(features(batch.to(device)).cpu(), of) for batch, of in DataLoader(share, 32)]
    if WORLD_SIZE > 1:
        shares: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[]] * WORLD_SIZE
        dist.all_gather_object(shares, parts)
        parts = [part for share in shares for part in share]
    seen, classes = zip(*parts, strict=True)
    # Copies, because tensors of inference mode cannot take part in training.
    return TensorDataset(torch.cat(seen).clone().to(device), torch.cat(classes).clone().to(device))


def train_head(
    head: nn.Module, train: TensorDataset, valid: TensorDataset, arguments: argparse.Namespace
) -> None:
    """Train in place, and print exact averages over all pictures after each epoch."""
    shared = DistributedDataParallel(head) if WORLD_SIZE > 1 else head
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=arguments.lr, weight_decay=arguments.weight_decay
    )
    sampler: DistributedSampler[object] = DistributedSampler(
        train, WORLD_SIZE, RANK, seed=arguments.seed
    )
    # The batch of a step stays as it was tuned, however many processes share it.
    batches = DataLoader(train, max(1, arguments.batch_size // WORLD_SIZE), sampler=sampler)
    for epoch in range(1, arguments.epochs + 1):
        sampler.set_epoch(epoch)
        shared.train()
        for seen, classes in batches:
            optimizer.zero_grad()
            loss = cross_entropy(shared(seen), classes)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        train_loss, _ = evaluate(head, train)
        valid_loss, valid_accuracy = evaluate(head, valid)
        if RANK == 0:
            print(
                f"epoch={epoch} train_loss={train_loss:.4f} valid_loss={valid_loss:.4f} "
                f"valid_accuracy={valid_accuracy:.4f}",
                flush=True,
            )


@torch.inference_mode()
def evaluate(head: nn.Module, data: TensorDataset) -> tuple[float, float]:
    """Mean loss and accuracy over all pictures, in one batch: no average of averages."""
    head.eval()
    seen, classes = data.tensors
    scores = head(seen)
    right = scores.argmax(dim=1) == classes
    return cross_entropy(scores, classes).item(), right.float().mean().item()


if __name__ == "__main__":
    main()
