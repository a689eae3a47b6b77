"""Dies of an exception that a function raised."""


def learn() -> None:
    raise ValueError("the labels are upside down: 3 > 2")


print("epoch 1")
learn()
