"""`python -m fogbank.vision.train`: a training job."""

from fogbank.vision.train import main

main()
