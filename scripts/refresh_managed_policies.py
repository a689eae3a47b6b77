#!/usr/bin/env python3
"""Write src/fogbank/cloud/services/iam/managed_policies.json from an installed moto.

AWS publishes its managed policies only behind an account's API; moto ships a dated copy of them.
Run this with any Python that has moto (a development tool, never a dependency of Fogbank):

    python3 scripts/refresh_managed_policies.py

Only the policies in POLICIES are taken: those that machine-learning projects name.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

POLICIES = (
    "AWSApplicationAutoscalingLambdaConcurrencyPolicy",
    "AWSApplicationAutoscalingSageMakerEndpointPolicy",
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSLambda_FullAccess",
    "AdministratorAccess",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonSageMakerFullAccess",
    "AmazonSageMakerReadOnly",
    "CloudWatchFullAccess",
    "CloudWatchLogsFullAccess",
    "CloudWatchReadOnlyAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
)

TARGET = (
    Path(__file__).resolve().parents[1] / "src/fogbank/cloud/services/iam/managed_policies.json"
)


def main() -> int:
    try:
        from moto.iam.aws_managed_policies import aws_managed_policies_data
    except ImportError:
        print("this Python has no moto: pip install moto, then run again", file=sys.stderr)
        return 1
    source = json.loads(aws_managed_policies_data)
    missing = [name for name in POLICIES if name not in source]
    if missing:
        print(f"moto {version('moto')} has no {', '.join(missing)}", file=sys.stderr)
        return 1
    policies = [
        {
            "name": name,
            "path": source[name]["Path"],
            "created": source[name]["CreateDate"],
            "updated": source[name]["UpdateDate"],
            "version": int(source[name]["DefaultVersionId"].removeprefix("v")),
            "document": source[name]["Document"],
        }
        for name in POLICIES
    ]
    content = {
        "about": "AWS managed policies. Written by scripts/refresh_managed_policies.py.",
        "source": f"moto {version('moto')}, moto/iam/aws_managed_policies.py",
        "newest_update": max(policy["updated"] for policy in policies),
        "policies": policies,
    }
    TARGET.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(policies)} policies, newest update {content['newest_update']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
