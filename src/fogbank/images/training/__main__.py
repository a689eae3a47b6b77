"""`python -m fogbank.images.training`: run the job below SAGEMAKER_BASE_DIR."""

from __future__ import annotations

import os
import sys
import time

from fogbank.images.training.toolkit import train

if __name__ == "__main__":
    sys.exit(train(dict(os.environ), time.gmtime()))
