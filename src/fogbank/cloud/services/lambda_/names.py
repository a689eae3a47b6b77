"""FunctionName in every form that Lambda takes: a name, part of an ARN, a whole ARN, each with or
without a qualifier (API reference, "FunctionName" of Invoke)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fogbank.cloud.context import Params
from fogbank.cloud.records.function import LATEST
from fogbank.cloud.services.lambda_.refusals import functions_only, invalid, not_found
from fogbank.core.arn import Scope

_FORMS = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_-]+)"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)
MAX_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class FunctionName:
    """qualifier: a version's number, `$LATEST`, an alias' name; "" where none was given."""

    name: str
    qualifier: str = ""

    @property
    def is_alias(self) -> bool:
        return bool(self.qualifier) and not is_version(self.qualifier)


def is_version(qualifier: str) -> bool:
    """`$LATEST` and numbers are versions; everything else names an alias."""
    return qualifier == LATEST or qualifier.isdigit()


def function_arn(scope: Scope, name: str, qualifier: str = "") -> str:
    """`arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`."""
    suffix = f":{qualifier}" if qualifier else ""
    return scope.arn("lambda", f"function:{name}{suffix}")


def named(params: Params, scope: Scope) -> FunctionName:
    """The function that FunctionName and Qualifier mean.

    Raises ResourceNotFoundException for another region or account, InvalidParameterValueException
    where the two name different qualifiers.
    """
    text: str = params["FunctionName"]
    found = _FORMS.fullmatch(text)
    if found is None:
        raise invalid(f"The function name {text} is not a name, an ARN or a part of one.")
    region, account = found["region"], found["account"]
    if region not in (None, scope.region):
        raise not_found(
            f"Functions from '{region}' are not reachable in this region ('{scope.region}')"
        )
    name, in_name = found["name"], found["qualifier"] or ""
    if account not in (None, scope.account):
        raise not_found(
            f"Function not found: arn:aws:lambda:{scope.region}:{account}:function:{name}"
        )
    given: str = params.get("Qualifier") or ""
    if in_name and given and in_name != given:
        raise invalid(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionName(name, in_name or given)


def unqualified(params: Params, scope: Scope) -> str:
    """The function's bare name. Raises InvalidParameterValueException where it has a qualifier."""
    found = named(params, scope)
    if found.qualifier:
        raise functions_only()
    return found.name
