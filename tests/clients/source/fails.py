"""A training script that cannot go on."""

print("epoch 1")
raise ValueError("no pictures of the breed kuvasz")
