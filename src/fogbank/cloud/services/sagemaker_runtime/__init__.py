"""SageMaker's data plane: InvokeEndpoint."""
