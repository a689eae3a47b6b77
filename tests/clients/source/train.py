"""A training script in the style of thousands of public ones; quick, because it only counts."""

import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--batch-size", type=str, default="32")
parser.add_argument("--seconds", type=float, default=0.0)
given = parser.parse_args()

folder = os.environ.get("SM_CHANNEL_TRAINING", "/opt/ml/input/data/training")
pictures = [name for _, _, names in os.walk(folder) for name in names]
print(f"host {os.environ.get('SM_CURRENT_HOST', '?')} of {os.environ.get('SM_HOSTS', '?')}")
for epoch in range(given.epochs):
    time.sleep(given.seconds / given.epochs)  # noqa: TID251 - a script of a user's
    print(f"Epoch {epoch}: Testing Loss: {abs(given.lr - 0.03) + 1 / (epoch + 1):.4f}", flush=True)

facts = {
    "pictures": len(pictures),
    "epochs": given.epochs,
    "python": list(sys.version_info[:2]),
    "opt_ml": os.path.isdir("/opt/ml/model"),  # noqa: PTH112
}
with open(os.path.join(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"), "model.json"), "w") as file:  # noqa: PTH118, PTH123
    json.dump(facts, file)
