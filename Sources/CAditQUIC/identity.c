// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#include "connection.h"

#include <CNIOBoringSSL_asn1.h>
#include <CNIOBoringSSL_err.h>
#include <CNIOBoringSSL_evp.h>
#include <CNIOBoringSSL_mem.h>
#include <CNIOBoringSSL_pool.h>
#include <CNIOBoringSSL_sha2.h>
#include <CNIOBoringSSL_x509.h>
#include <stdlib.h>
#include <string.h>

// A certificate says whose key it is and nothing else: neither its name nor its time is looked at by the peer.
static X509 *certificate(EVP_PKEY *key) {
    X509 *made = X509_new();
    if (made == NULL) return NULL;
    X509_NAME *name = X509_get_subject_name(made);
    int is_made = X509_set_version(made, X509_VERSION_3) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), 1) &&
                  ASN1_TIME_set_string(X509_getm_notBefore(made), "20000101000000Z") &&
                  ASN1_TIME_set_string(X509_getm_notAfter(made), "99991231235959Z") &&
                  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"adit", 4, -1, 0) &&
                  X509_set_issuer_name(made, name) && X509_set_pubkey(made, key) && X509_sign(made, key, NULL) > 0;
    if (is_made) return made;
    X509_free(made);
    return NULL;
}

// The peer is who holds the expected key: TLS itself checks that it signs with the key of its certificate.
static enum ssl_verify_result_t verify(SSL *tls, uint8_t *alert) {
    const ngtcp2_crypto_conn_ref *reference = SSL_get_app_data(tls);
    const struct adit_quic *quic = reference->user_data;
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(tls);
    int is_peer = 0;
    if (chain != NULL && sk_CRYPTO_BUFFER_num(chain) == 1) {
        X509 *shown = X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, 0));
        EVP_PKEY *key = shown == NULL ? NULL : X509_get0_pubkey(shown);
        uint8_t bytes[32], hash[SHA256_DIGEST_LENGTH];
        size_t length = sizeof bytes;
        is_peer = key != NULL && EVP_PKEY_id(key) == EVP_PKEY_ED25519 &&
                  EVP_PKEY_get_raw_public_key(key, bytes, &length) == 1 && length == sizeof bytes &&
                  CRYPTO_memcmp(SHA256(bytes, sizeof bytes, hash), quic->peer, sizeof hash) == 0;
        X509_free(shown);
        ERR_clear_error();
    }
    if (is_peer) return ssl_verify_ok;
    *alert = SSL_AD_BAD_CERTIFICATE;
    return ssl_verify_invalid;
}

static int select_protocol(SSL *tls, const uint8_t **chosen, uint8_t *chosen_length, const uint8_t *offered,
                           unsigned offered_length, void *unused) {
    (void)tls;
    (void)unused;
    uint8_t *found;
    int result = SSL_select_next_proto(&found, chosen_length, (const uint8_t *)ADIT_QUIC_ALPN, sizeof ADIT_QUIC_ALPN - 1,
                                       offered, offered_length);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

adit_quic_identity *adit_quic_identity_new(const uint8_t seed[32]) {
    static const uint16_t signatures[] = {SSL_SIGN_ED25519};
    adit_quic_identity *identity = calloc(1, sizeof *identity);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    X509 *shown = key == NULL ? NULL : certificate(key);
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    int is_made = identity != NULL && shown != NULL && context != NULL &&
                  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                  SSL_CTX_use_certificate(context, shown) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                  SSL_CTX_set_verify_algorithm_prefs(context, signatures, 1) == 1 &&
                  SSL_CTX_set_signing_algorithm_prefs(context, signatures, 1) == 1;
    X509_free(shown);
    EVP_PKEY_free(key);
    if (!is_made) {
        SSL_CTX_free(context);
        free(identity);
        ERR_clear_error();
        return NULL;
    }
    // Without tickets there is no early data, which anybody could replay (RFC 9001 section 9.2).
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_early_data_enabled(context, 0);
    SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    identity->context = context;
    return identity;
}

void adit_quic_identity_free(adit_quic_identity *identity) {
    if (identity == NULL) return;
    SSL_CTX_free(identity->context);
    free(identity);
}

SSL *adit_quic_tls(const struct adit_quic_identity *identity, struct adit_quic *quic, int is_server) {
    SSL *tls = SSL_new(identity->context);
    if (tls == NULL) return NULL;
    SSL_set_app_data(tls, &quic->reference);
    int is_made = SSL_set_quic_method(tls, &adit_quic_method) == 1;
    if (is_server) {
        SSL_set_accept_state(tls);
    } else {
        SSL_set_connect_state(tls);
        is_made &= SSL_set_alpn_protos(tls, (const uint8_t *)ADIT_QUIC_ALPN, sizeof ADIT_QUIC_ALPN - 1) == 0;
    }
    if (is_made) return tls;
    SSL_free(tls);
    return NULL;
}
