"""The workload: transfer learning for image classification, as training jobs and endpoints run it.

Comes in: folders of pictures and hyperparameters (training); a model folder and request bodies
(serving). Goes out: a model folder, metric lines on standard output; scores. The only contract
this package knows is SageMaker's container contract (`contract`), so it runs there unchanged;
it imports nothing else of Fogbank.

`model`, `preprocess` and `artifact` are all that `train` and `serve` share.
"""

import os

# Read once, when torch loads OpenMP: idle threads sleep instead of spinning. Where jobs and
# endpoints share cores, spinning threads hold up the very thread they wait for: the digits trained
# in 10 s instead of 70 s on 2 cores that other work kept busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
