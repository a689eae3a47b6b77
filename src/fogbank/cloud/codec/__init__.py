"""Bytes <-> dicts for AWS's wire protocols, driven by botocore's service models; SigV4.

identify   Request                 -> Target (service, operation, protocol, labels of the path)
sigv4      Request                 -> Signature; checked against a secret key
payload    Request, Signature      -> the body's bytes, unframed and verified as they stream by
parse      Target, Request         -> the operation's input, by the member names of its shape
validate   input shape, input      -> nothing, or AWS's ValidationException
serialize  Target, output or error -> Response
"""
