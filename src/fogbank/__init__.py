"""Fogbank: an image classifier's way to production on AWS, rehearsed on a local cloud."""
