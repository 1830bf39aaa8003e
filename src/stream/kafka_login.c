/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is refused. A login, a certificate or a token that is not taken is an error at once, or, where
 * it was taken before, after stream.timeout: waiting does not help, but a broker may be in trouble.
 */
#include "base/clock.h"
#include "stream/kafka_private.h"

bool kafka_is_login(rd_kafka_resp_err_t err) {
    return err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR__SSL ||
           err == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           err == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM;
}

void kafka_note_refusal(struct kafka *k, rd_kafka_resp_err_t err, const char *reason) {
    /* With TLS 1.3 a broker refuses our certificate after the handshake, when we ask the first thing. */
    bool refused = kafka_is_login(err) || strstr(reason, "SSL alert number");
    if (refused && !k->refused_ns)
        k->refused_ns = clock_mono_ns();
}

int kafka_verify_certificate(rd_kafka_t *rk ATTR_UNUSED, const char *broker ATTR_UNUSED,
                             int32_t broker_id ATTR_UNUSED, int *x509_error, int depth ATTR_UNUSED,
                             const char *cert ATTR_UNUSED, size_t size ATTR_UNUSED, char *errstr,
                             size_t errstr_size, void *opaque) {
    struct kafka *k = opaque;
    if (*x509_error == 0)
        return 1;
    atomic_store(&k->x509_error, *x509_error);
    snprintf(errstr, errstr_size, "error %d", *x509_error);
    return 0;
}

/* OpenSSL's x509_vfy.h, whose texts librdkafka does not pass on. NULL: what it says will do. */
static const char *x509_words(int error) {
    switch (error) {
    case 9:
        return "its certificate is not valid yet";
    case 10:
        return "its certificate has expired";
    case 18: /* self-signed, alone and in a chain; issuer not found, or not at hand */
    case 19:
    case 20:
    case 21:
        return "its certificate is not signed by anybody in kafka.ssl.ca.location";
    case 23:
        return "its certificate was revoked";
    case 62: /* name, address */
    case 64:
        return "its certificate is for another host than stream.url names";
    default:
        return NULL;
    }
}

static const char *untrusted(const struct kafka *k) {
    return x509_words(atomic_load(&k->x509_error));
}

int kafka_login_hint(struct kafka *k, struct err *e) {
    if (untrusted(k))
        return err_hint(e, "kafka.ssl.ca.location says whom to trust (docs/kafka.md)");
    if (strstr(e->msg, "SSL"))
        return err_hint(e,
                        "kafka.ssl.certificate.location and kafka.ssl.key.location say who we are, "
                        "kafka.ssl.ca.location whom to trust (docs/kafka.md)");
    if (k->mechanism && strcmp(k->mechanism, "OAUTHBEARER") == 0)
        return err_hint(e, "kafka.sasl.oauthbearer.* say where tokens come from (docs/kafka.md)");
    return err_hint(e, "kafka.security.protocol, kafka.sasl.mechanisms, kafka.sasl.username "
                       "and kafka.sasl.password say how to log in (docs/kafka.md)");
}

int kafka_refused(struct kafka *k, struct err *e) {
    if (!k->refused_ns || (k->reached && clock_mono_ns() - k->refused_ns < k->timeout_ms * 1000000))
        return 0;
    const char *why = untrusted(k);
    bool tls = why || strstr(k->trouble, "SSL");
    _cleanup_(freep) char *what =
        why                    ? xasprintf("the broker is not to be trusted: %s", why)
        : tls || !k->mechanism ? xstrdup("the broker refuses the connection")
                               : xasprintf("the broker refuses the login by %s", k->mechanism);
    return kafka_failed(k, e, RD_KAFKA_RESP_ERR__AUTHENTICATION, k->trouble, what);
}
