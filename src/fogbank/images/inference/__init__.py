"""The inference image: an HTTP server that serves one model the way AWS's PyTorch image does.

A front process speaks HTTP (`GET /ping`, `POST /invocations`) and hands each request to a worker
process, which has loaded the model and runs the user's code. The front never runs user code, so it
answers health checks while a prediction runs, and can kill and replace a worker that hangs or dies.
Sources: "Custom Inference Code with Hosting Services" in the SageMaker AI Developer Guide, and the
behaviour of the public sagemaker-inference and sagemaker-pytorch-inference packages.
"""
