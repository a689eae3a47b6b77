"""Local stand-ins of AWS's container images: programs that speak only the container contract.

Each is started as a process of its own (`python -m fogbank.images.training`,
`python -m fogbank.images.inference`) and imports the standard library and this room alone, so
that it also starts in an environment where nothing else of Fogbank is installed.
"""
