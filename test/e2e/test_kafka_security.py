# SPDX-License-Identifier: Apache-2.0
"""A broker that lets in only whom it knows: by certificate, by OAuth token, and by ACL; passwords are in test_kafka.py.

What docs/kafka.md gives as examples is what is used here, but for its paths and hosts. All refusals are the same to us:
exit 4 at once, with the reason and a hint; waiting does not help.
"""
import base64
import http.server
import json
import re
import subprocess
import threading
import time

import pytest
from confluent_kafka.admin import AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from broker import Broker, QUICK
from mill import ROOT, free_port, wait_for
from test_kafka import SECRET, SHOPPERS, SHORT, check_layers, values, with_password

JAAS = "org.apache.kafka.common.security.oauthbearer"
KEY_PASSWORD = "hunter2-of-the-key"
EXTRA = QUICK + """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=mill;User:clickmill-by-token
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config={jaas}.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class={jaas}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler
listener.name.mtls.ssl.keystore.location={pki}/broker.pem
listener.name.mtls.ssl.truststore.type=PEM
listener.name.mtls.ssl.truststore.location={pki}/ca.crt
listener.name.mtls.ssl.client.auth=required
listener.name.expired.ssl.keystore.location={pki}/expired-broker.pem
"""


class Pki:
    """Two authorities and what they have signed, as PEM files."""

    def __init__(self, folder):
        self.folder = folder
        for ca in "ca", "other-ca":
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
        (folder / "host.ext").write_text("subjectAltName=IP:127.0.0.1\n")
        self.issue("broker", "ca", 2)
        self.issue("expired-broker", "ca", -1)
        self.issue("mill", "ca", 2)
        self.issue("expired-mill", "ca", -1)
        self.issue("stranger", "other-ca", 2)
        for name in "broker", "expired-broker":
            (folder / f"{name}.pem").write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())
        self.openssl("rsa", "-aes256", "-passout", f"pass:{KEY_PASSWORD}", "-in", "mill.key", "-out", "mill-locked.key")

    def issue(self, name, ca, days):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name.removeprefix('expired-')}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", days,
                     "-extfile", "host.ext", "-out", f"{name}.crt")

    def openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def __call__(self, name):
        return str(self.folder / name)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def broker(pki):
    broker = Broker(EXTRA.format(pki=pki.folder, jaas=JAAS), ["MTLS:SSL", "EXPIRED:SSL", "OAUTH:SASL_SSL"]).start()
    yield broker
    broker.end()


@pytest.fixture
def secure_mill(broker, mill):
    return broker.connect(mill)


def example(holding, **other):
    """The properties of the one example of docs/kafka.md that holds this text, with others or other values: a_b for a.b."""
    found = [b for b in re.findall(r"```ini\n\[kafka\]\n(.*?)```", (ROOT / "docs/kafka.md").read_text(), re.S) if holding in b]
    assert len(found) == 1, f"{holding}: {found}"
    return {**dict(line.split(" = ") for line in found[0].splitlines()), **{name.replace("_", "."): value for name, value in other.items()}}


def secret(mill, name, value):
    """By the environment, as docs/kafka.md says."""
    assert name in (ROOT / "docs/kafka.md").read_text()
    mill.env[name] = value


def configure(mill, address, **properties):
    mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{address}"
    (mill.home / "clickmill.ini").write_text("[kafka]\n" + "".join(f"{name.replace('_', '.')} = {value}\n" for name, value in properties.items()))


def refused(mill, says, hint):
    """All end, soon, and say why."""
    for verb in ("ingest", "--once"), ("produce", "--events", "1"), ("ingest",):
        start = time.monotonic()
        mill.fails(4, *verb, says=says, hint=hint, seconds=60)
        assert time.monotonic() - start < 20, "that does not pass by waiting"


def works(mill):
    mill.ok(*SHOPPERS, "--events", "100", "--seed", "1")
    mill.ok("ingest", "--once")
    assert len(check_layers(mill)) >= 100


OURS = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, "User:clickmill", None, AclOperation.ANY, AclPermissionType.ANY)


def acls(broker, *allowed):
    """Of the user clickmill: (resource type, name, operation)."""
    admin = broker.admin()

    def heard(n):
        wait_for(lambda: len(admin.describe_acls(OURS).result(30)) == n, "the broker to have heard of it from its controller")

    broker.done(admin.delete_acls([OURS]))
    heard(0)
    if allowed:
        broker.done(admin.create_acls([AclBinding(kind, name, ResourcePatternType.LITERAL, "User:clickmill", "*", operation, AclPermissionType.ALLOW)
                                       for kind, name, operation in allowed]))
        heard(len(allowed))


def let_in(broker, topic):
    """The user of the password may do all that is to be done."""
    acls(broker, (ResourceType.TOPIC, topic, AclOperation.ALL), (ResourceType.GROUP, "clickmill", AclOperation.ALL))


# ---- certificates ----

def mutual(mill, pki, address, ca="ca.crt", certificate="mill.crt", key="mill.key", **more):
    properties = example("ssl.key.location", ssl_ca_location=pki(ca), ssl_certificate_location=pki(certificate), ssl_key_location=pki(key), **more)
    configure(mill, address, **properties)


def test_both_sides_show_a_certificate(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["MTLS"])
    works(secure_mill)


def test_a_key_with_a_password(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["MTLS"], key="mill-locked.key")
    secret(secure_mill, "CLICKMILL_KAFKA_SSL_KEY_PASSWORD", KEY_PASSWORD)
    works(secure_mill)
    secret(secure_mill, "CLICKMILL_KAFKA_SSL_KEY_PASSWORD", SECRET)
    for verb in ["config", "check"], ["ingest", "--once"]:
        assert SECRET not in secure_mill.fails(3, *verb, says="ssl.key")


def test_a_key_that_is_not_the_certificates(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["MTLS"], key="stranger.key")
    for verb in ["config", "check"], ["ingest", "--once"]:
        secure_mill.fails(3, *verb, says="ssl")


def test_a_broker_we_do_not_trust(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["MTLS"], ca="other-ca.crt")
    refused(secure_mill, "not signed by anybody in kafka.ssl.ca.location", hint="kafka.ssl.ca.location")
    mutual(secure_mill, pki, broker.at["MTLS"], ca="other-ca.crt", enable_ssl_certificate_verification="false")
    works(secure_mill)


def test_a_broker_nobody_asked_about(secure_mill, pki, broker):
    """Its certificate is not looked at, so it is not what is wrong."""
    off = ("-c", "kafka.enable.ssl.certificate.verification=false", "-c", f"kafka.ssl.ca.location={pki('other-ca.crt')}")
    with_password(secure_mill, broker, "wrong", tls=True)
    told = secure_mill.fails(4, *off, "ingest", "--once", says="refuses the login by PLAIN", hint="kafka.sasl.password")
    assert "certificate" not in told.replace("docs/kafka.md", "")


def test_a_broker_under_another_name(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["MTLS"].replace("127.0.0.1", "localhost"))
    refused(secure_mill, "another host than stream.url names", hint="kafka.ssl.ca.location")
    # Asked not to look, it does not.
    mutual(secure_mill, pki, broker.at["MTLS"].replace("127.0.0.1", "localhost"), ssl_endpoint_identification_algorithm="none")
    works(secure_mill)


def test_a_broker_whose_certificate_has_expired(secure_mill, pki, broker):
    mutual(secure_mill, pki, broker.at["EXPIRED"])
    refused(secure_mill, "certificate has expired", hint="kafka.ssl.ca.location")


@pytest.mark.parametrize("certificate", ["stranger", "expired-mill"])
def test_a_certificate_the_broker_does_not_take(secure_mill, pki, broker, certificate):
    mutual(secure_mill, pki, broker.at["MTLS"], certificate=f"{certificate}.crt", key=f"{certificate}.key")
    refused(secure_mill, "certificate", hint="kafka.ssl.certificate.location")


def test_no_certificate_where_one_is_asked_for(secure_mill, pki, broker):
    configure(secure_mill, broker.at["MTLS"], security_protocol="SSL", ssl_ca_location=pki("ca.crt"))
    refused(secure_mill, "certificate", hint="kafka.ssl.certificate.location")


def test_a_port_that_speaks_tls_and_a_client_that_does_not(secure_mill, broker):
    configure(secure_mill, broker.at["MTLS"])
    for verb in ("ingest", "--once"), ("status",):
        secure_mill.fails(4, "-c", "stream.timeout=1s", *verb, says=broker.at["MTLS"], hint="kafka.security.protocol", seconds=30)


# ---- tokens ----

def token(subject="clickmill-by-token", seconds=3600):
    """An unsecured JWT (RFC 7519 section 6), which only this broker believes."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    now = int(time.time())
    return part({"alg": "none"}) + "." + part({"sub": subject, "iat": now, "exp": now + seconds, "scope": "kafka"}) + "."


class Provider(http.server.BaseHTTPRequestHandler):
    """The one endpoint of an OpenID provider that a client needs: credentials in, token out (RFC 6749 section 4.4)."""
    asked = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        good = self.headers["Authorization"] == "Basic " + base64.b64encode(b"clickmill:open sesame").decode()
        self.asked.append(body)
        answer = {"access_token": token(), "token_type": "Bearer", "expires_in": 3600} if good else {"error": "invalid_client"}
        data = json.dumps(answer).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def provider():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/token"
    server.shutdown()


def oidc(mill, broker, url, client_secret="open sesame"):
    configure(mill, broker.at["OAUTH"], **example("oidc", ssl_ca_location=broker.ca, sasl_oauthbearer_token_endpoint_url=url))
    secret(mill, "CLICKMILL_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", client_secret)


def test_a_token_of_our_own(secure_mill, broker):
    configure(secure_mill, broker.at["OAUTH"], security_protocol="SASL_SSL", ssl_ca_location=broker.ca, sasl_mechanisms="OAUTHBEARER",
              enable_sasl_oauthbearer_unsecure_jwt="true", sasl_oauthbearer_config="principal=clickmill-by-token scope=kafka")
    works(secure_mill)


def test_a_token_from_an_openid_provider(secure_mill, broker, provider):
    oidc(secure_mill, broker, provider)
    Provider.asked.clear()
    secure_mill.ok("config", "check")
    assert not Provider.asked, "a check asks nobody"
    works(secure_mill)
    assert "grant_type=client_credentials" in Provider.asked[0] and "scope=kafka" in Provider.asked[0]


def test_a_provider_that_refuses_us(secure_mill, broker, provider):
    oidc(secure_mill, broker, provider, client_secret=SECRET)
    refused(secure_mill, "OAUTHBEARER", hint="kafka.sasl.oauthbearer.*")


def test_a_provider_that_is_not_there(secure_mill, broker):
    oidc(secure_mill, broker, f"http://127.0.0.1:{free_port()}/token")
    refused(secure_mill, "OAUTHBEARER", hint="kafka.sasl.oauthbearer.*")


# ---- secrets ----

@pytest.mark.parametrize("kind", ["password", "key", "client"])
def test_no_output_holds_a_secret(secure_mill, pki, broker, provider, kind):
    """Good or bad, whatever is logged: also librdkafka's own debugging."""
    mill = secure_mill
    let_in(broker, mill.topic)
    for value in SECRET, {"password": broker.password, "key": KEY_PASSWORD, "client": "open sesame"}[kind]:
        if kind == "password":
            configure(mill, broker.tls, **example("SCRAM-SHA-512", ssl_ca_location=broker.ca))
            secret(mill, "CLICKMILL_KAFKA_SASL_PASSWORD", value)
        elif kind == "key":
            mutual(mill, pki, broker.at["MTLS"], key="mill-locked.key")
            secret(mill, "CLICKMILL_KAFKA_SSL_KEY_PASSWORD", value)
        else:
            oidc(mill, broker, provider, client_secret=value)
        said = ""
        for form, verb in enumerate((["config", "show"], ["config", "check"], ["doctor"], ["produce", "--events", "3"], ["ingest", "--once"],
                                     ["status", "--json"], ["reconcile"])):
            done = mill("-c", "log.level=debug", "-c", f"log.format={['text', 'json'][form % 2]}", "-c", "kafka.debug=all", *SHORT, *verb)
            assert value not in done.out + done.err, f"{verb}: {done}"
            said += done.out + done.err
        assert "****" in said and "kafka=" in said, "this was no silence"
    if kind == "client":
        assert token()[:40] not in said, "nor the token that was got for it"
    assert len(check_layers(mill)) == 3


# ---- ACLs ----

def test_what_acls_must_allow(secure_mill, broker):
    """Exactly what docs/kafka.md lists."""
    mill, topic = secure_mill, secure_mill.topic
    broker.create(topic)
    broker.send(topic, *values(*range(10)))
    with_password(mill, broker, broker.password)
    on_topic = {op: (ResourceType.TOPIC, topic, op) for op in (AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE,
                                                                AclOperation.DESCRIBE_CONFIGS)}
    group = (ResourceType.GROUP, "clickmill", AclOperation.READ)

    acls(broker)
    for verb in ("ingest", "--once"), ("status",), ("produce", "--events", "1"):
        mill.fails(4, *SHORT, *verb, says="uthorization", hint="docs/kafka.md")
    acls(broker, on_topic[AclOperation.DESCRIBE])
    done = mill("status", "--json")
    status = json.loads(done.out)
    assert (status["lag"], status["lag_seconds"], status["retention_used"]) == (10, None, None)
    assert done.err.count("docs/kafka.md") == 1, "said, and once"
    acls(broker, on_topic[AclOperation.DESCRIBE], on_topic[AclOperation.READ])
    mill.fails(4, *SHORT, "ingest", "--once", says="uthorization", hint="docs/kafka.md")
    acls(broker, on_topic[AclOperation.DESCRIBE], on_topic[AclOperation.READ], group)
    status = mill.json("status")
    assert 0 < status["lag_seconds"] < 600 and status["retention_used"] is None
    assert mill.json("ingest", "--once")["records"] == 10
    acls(broker, *(on_topic[op] for op in on_topic), group)
    assert mill.json("status")["retention_used"] == 0
    mill.ok("produce", "--events", "5")
    assert 0 < mill.json("status")["retention_used"] < 0.01
    mill.ok("ingest", "--once")
    mill.env["CLICKMILL_STREAM_URL"] = f"kafka://{broker.address}"
    (mill.home / "clickmill.ini").unlink()
    check_layers(mill)
