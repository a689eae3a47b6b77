"""The training image in the launch style of AWS's training toolkit.

One process for each instance of a job: it reads what the machine wrote below `input/config`, puts
the user's code in place, runs it with `SM_*` variables and hyperparameters as arguments, and writes
`output/success` or `output/failure`. Sources: "How Amazon SageMaker Runs Your Training Image" in
the SageMaker AI Developer Guide, and the behaviour of the public sagemaker-training package.
"""
