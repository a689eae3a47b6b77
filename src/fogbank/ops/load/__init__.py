"""Load for an endpoint or a function: who asks when, the asking, and what came of it.

`profile` says when requests are due, `generator` sends them then whatever becomes of the others,
`sender` knows how, `watch` looks at what the cloud does meanwhile, `record` and `plot` keep it.
"""
