"""Lambda: functions, their versions and aliases, their concurrency, and calling them.

Each room validates what the model cannot, writes intent as records and reads records back; it
starts nothing. `rooms` makes them all.
"""

from __future__ import annotations

from fogbank.cloud.ports import FunctionCode, FunctionInvoker, Objects, Records
from fogbank.cloud.services.lambda_.aliases import Aliases
from fogbank.cloud.services.lambda_.code import CodeIntake
from fogbank.cloud.services.lambda_.concurrency import Commitments, ReservedConcurrency
from fogbank.cloud.services.lambda_.directory import Directory
from fogbank.cloud.services.lambda_.downloads import DownloadLinks
from fogbank.cloud.services.lambda_.event_invoke import EventInvokeConfigs
from fogbank.cloud.services.lambda_.functions import Functions
from fogbank.cloud.services.lambda_.invoke import Caller, Draw, Invocations
from fogbank.cloud.services.lambda_.layers import Layers
from fogbank.cloud.services.lambda_.permissions import Permissions
from fogbank.cloud.services.lambda_.provisioned import Provisioning
from fogbank.cloud.services.lambda_.settings import RoleTrusts, SettingsReader
from fogbank.cloud.services.lambda_.tags import FunctionTags
from fogbank.cloud.services.lambda_.urls import FunctionUrls
from fogbank.cloud.services.lambda_.versions import Versions
from fogbank.core.arn import Scope


def caller(records: Records, scope: Scope, invoker: FunctionInvoker, draw: Draw) -> Caller:
    """What Invoke and function URLs call functions through."""
    return Caller(Directory(records, scope), records, invoker, draw)


def rooms(
    *,
    records: Records,
    scope: Scope,
    objects: Objects,
    code: FunctionCode,
    caller: Caller,
    links: DownloadLinks,
    role_trusts: RoleTrusts,
    account_concurrency: int,
    endpoint_url: str,
) -> tuple[object, ...]:
    """Every room of the service, for `services.base.dispatch_table`.

    caller:              gives events to functions.
    links:               makes the addresses from which code is downloaded.
    role_trusts:         whether IAM has a role of that ARN that Lambda may assume.
    account_concurrency: executions that the account may have at once.
    endpoint_url:        where clients find the cloud.
    """
    directory = Directory(records, scope)
    intake = CodeIntake(code, objects, records)
    commitments = Commitments(records, account_concurrency)
    return (
        Functions(
            records=records,
            directory=directory,
            intake=intake,
            settings=SettingsReader(records, role_trusts),
            links=links,
        ),
        Versions(records=records, directory=directory, intake=intake),
        Aliases(records=records, directory=directory),
        Invocations(records=records, directory=directory, caller=caller),
        ReservedConcurrency(records=records, directory=directory, commitments=commitments),
        Provisioning(records=records, directory=directory, commitments=commitments),
        EventInvokeConfigs(records=records, directory=directory),
        Permissions(records=records, directory=directory),
        FunctionTags(records=records, directory=directory),
        FunctionUrls(records=records, directory=directory, endpoint_url=endpoint_url),
        Layers(records=records, scope=scope, intake=intake, links=links),
    )
