"""Writes down what a training script sees, as JSON, into the job's output."""

import json
import os
import sys
from pathlib import Path

umask = os.umask(0)
os.umask(umask)
seen = {
    "arguments": sys.argv,
    "folder": str(Path.cwd()),
    "path": sys.path[0],
    "umask": umask,
    "input": sys.stdin.read(),
    "environment": dict(os.environ),
    "channels": {
        name: sorted(path.name for path in Path(os.environ[f"SM_CHANNEL_{name.upper()}"]).iterdir())
        for name in json.loads(os.environ["SM_CHANNELS"])
    },
}
Path(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json").write_text(json.dumps(seen))
