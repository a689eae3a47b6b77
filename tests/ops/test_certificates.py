"""The authority's certificates, as OpenSSL sees them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from fogbank.core.clock import SystemClock
from fogbank.ops.certificates import LIFETIME, Authority, bundle

HOST = "sts.us-east-1.amazonaws.com"


def shake_hands(server: ssl.SSLContext, trusted: str, host: str) -> ssl.SSLObject:
    """The client's end of a connection to `server`, once both have agreed."""
    client_context = ssl.create_default_context(cadata=trusted)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (client, other):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            done.add(end)
    return client


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(SystemClock().now())


@pytest.mark.parametrize("host", [HOST, f"{'bucket.' * 20}s3.us-east-1.amazonaws.com"])
def test_who_trusts_it_trusts_its_hosts(authority: Authority, host: str) -> None:
    client = shake_hands(authority.context(host), authority.pem, host)
    assert client.version() == "TLSv1.3"


def test_a_host_is_no_other_host(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(authority.context(HOST), authority.pem, "iam.amazonaws.com")


def test_who_trusts_another_authority_does_not(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        shake_hands(authority.context(HOST), Authority(SystemClock().now()).pem, HOST)


def test_a_host_is_issued_once(authority: Authority) -> None:
    assert authority.context(HOST) is authority.context(HOST)


def test_it_may_sign_hosts_and_no_other_authority() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    certificate = x509.load_pem_x509_certificate(Authority(now).pem.encode())
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert certificate.not_valid_before_utc == now - timedelta(hours=1)
    assert certificate.not_valid_after_utc == now - timedelta(hours=1) + LIFETIME
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_bundle() -> None:
    assert bundle(["a", "b\n"]) == "a\nb\n"
