// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0
//
// What ngtcp2's crypto helpers (ngtcp2_crypto.h) need of a TLS library, by BoringSSL. Debian has the helpers with a backend for
// GnuTLS only; the archive's part that knows no library is linked, and this file stands where GnuTLS would. So the program needs
// no second TLS library, and AES-GCM is that of BoringSSL.

#include "connection.h"

#include <CNIOBoringSSL_aead.h>
#include <CNIOBoringSSL_aes.h>
#include <CNIOBoringSSL_chacha.h>
#include <CNIOBoringSSL_digest.h>
#include <CNIOBoringSSL_err.h>
#include <CNIOBoringSSL_hkdf.h>
#include <CNIOBoringSSL_mem.h>
#include <CNIOBoringSSL_rand.h>
#include <stdlib.h>
#include <string.h>

// These are not in the public header, though each backend has them.
ngtcp2_crypto_aead *ngtcp2_crypto_aead_aes_128_gcm(ngtcp2_crypto_aead *aead);
ngtcp2_crypto_aead *ngtcp2_crypto_aead_retry(ngtcp2_crypto_aead *aead);
ngtcp2_crypto_aead *ngtcp2_crypto_aead_init(ngtcp2_crypto_aead *aead, void *native);
ngtcp2_crypto_md *ngtcp2_crypto_md_sha256(ngtcp2_crypto_md *digest);
ngtcp2_crypto_ctx *ngtcp2_crypto_ctx_initial(ngtcp2_crypto_ctx *context);
int ngtcp2_crypto_cipher_ctx_encrypt_init(ngtcp2_crypto_cipher_ctx *made, const ngtcp2_crypto_cipher *cipher,
                                          const uint8_t *key);
void ngtcp2_crypto_cipher_ctx_free(ngtcp2_crypto_cipher_ctx *context);
int ngtcp2_crypto_set_remote_transport_params(ngtcp2_conn *connection, void *tls);
int ngtcp2_crypto_set_local_transport_params(void *tls, const uint8_t *bytes, size_t length);
int ngtcp2_crypto_random(uint8_t *bytes, size_t length);

// MARK: Ciphers (RFC 9001 sections 5.3 and 5.4)

// The cipher of header protection.
enum { HEADER_AES_128 = 1, HEADER_AES_256, HEADER_CHACHA20 };

typedef struct {
    int kind;
    union {
        AES_KEY aes;
        uint8_t chacha20[32];
    } key;
} header_key;

static void set_header(ngtcp2_crypto_cipher *cipher, int kind) {
    cipher->native_handle = (void *)(uintptr_t)kind;
}

ngtcp2_crypto_aead *ngtcp2_crypto_aead_init(ngtcp2_crypto_aead *aead, void *native) {
    aead->native_handle = native;
    aead->max_overhead = EVP_AEAD_max_overhead(native);
    return aead;
}

ngtcp2_crypto_aead *ngtcp2_crypto_aead_aes_128_gcm(ngtcp2_crypto_aead *aead) {
    return ngtcp2_crypto_aead_init(aead, (void *)EVP_aead_aes_128_gcm());
}

ngtcp2_crypto_aead *ngtcp2_crypto_aead_retry(ngtcp2_crypto_aead *aead) {
    return ngtcp2_crypto_aead_aes_128_gcm(aead);
}

ngtcp2_crypto_md *ngtcp2_crypto_md_sha256(ngtcp2_crypto_md *digest) {
    digest->native_handle = (void *)EVP_sha256();
    return digest;
}

ngtcp2_crypto_ctx *ngtcp2_crypto_ctx_initial(ngtcp2_crypto_ctx *context) {
    memset(context, 0, sizeof *context);
    ngtcp2_crypto_aead_aes_128_gcm(&context->aead);
    ngtcp2_crypto_md_sha256(&context->md);
    set_header(&context->hp, HEADER_AES_128);
    return context;
}

// The limits on the use of a key are those of RFC 9001 section 6.6.
ngtcp2_crypto_ctx *ngtcp2_crypto_ctx_tls(ngtcp2_crypto_ctx *context, void *tls) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls);
    if (cipher == NULL) return NULL;
    memset(context, 0, sizeof *context);
    switch (SSL_CIPHER_get_protocol_id(cipher)) {
    case 0x1301:
        ngtcp2_crypto_aead_aes_128_gcm(&context->aead);
        context->md.native_handle = (void *)EVP_sha256();
        set_header(&context->hp, HEADER_AES_128);
        context->max_encryption = UINT64_C(1) << 23;
        context->max_decryption_failure = UINT64_C(1) << 52;
        return context;
    case 0x1302:
        ngtcp2_crypto_aead_init(&context->aead, (void *)EVP_aead_aes_256_gcm());
        context->md.native_handle = (void *)EVP_sha384();
        set_header(&context->hp, HEADER_AES_256);
        context->max_encryption = UINT64_C(1) << 23;
        context->max_decryption_failure = UINT64_C(1) << 52;
        return context;
    case 0x1303:
        ngtcp2_crypto_aead_init(&context->aead, (void *)EVP_aead_chacha20_poly1305());
        context->md.native_handle = (void *)EVP_sha256();
        set_header(&context->hp, HEADER_CHACHA20);
        context->max_encryption = UINT64_MAX;
        context->max_decryption_failure = UINT64_C(1) << 36;
        return context;
    default: return NULL;
    }
}

ngtcp2_crypto_ctx *ngtcp2_crypto_ctx_tls_early(ngtcp2_crypto_ctx *context, void *tls) {
    return ngtcp2_crypto_ctx_tls(context, tls);
}

size_t ngtcp2_crypto_md_hashlen(const ngtcp2_crypto_md *digest) {
    return EVP_MD_size(digest->native_handle);
}

size_t ngtcp2_crypto_aead_keylen(const ngtcp2_crypto_aead *aead) {
    return EVP_AEAD_key_length(aead->native_handle);
}

size_t ngtcp2_crypto_aead_noncelen(const ngtcp2_crypto_aead *aead) {
    return EVP_AEAD_nonce_length(aead->native_handle);
}

static int make_aead(ngtcp2_crypto_aead_ctx *made, const ngtcp2_crypto_aead *aead, const uint8_t *key) {
    const EVP_AEAD *native = aead->native_handle;
    made->native_handle = EVP_AEAD_CTX_new(native, key, EVP_AEAD_key_length(native), EVP_AEAD_DEFAULT_TAG_LENGTH);
    return made->native_handle == NULL ? -1 : 0;
}

int ngtcp2_crypto_aead_ctx_encrypt_init(ngtcp2_crypto_aead_ctx *made, const ngtcp2_crypto_aead *aead, const uint8_t *key,
                                        size_t nonce_length) {
    (void)nonce_length;
    return make_aead(made, aead, key);
}

int ngtcp2_crypto_aead_ctx_decrypt_init(ngtcp2_crypto_aead_ctx *made, const ngtcp2_crypto_aead *aead, const uint8_t *key,
                                        size_t nonce_length) {
    (void)nonce_length;
    return make_aead(made, aead, key);
}

void ngtcp2_crypto_aead_ctx_free(ngtcp2_crypto_aead_ctx *context) {
    EVP_AEAD_CTX_free(context->native_handle);
}

int ngtcp2_crypto_cipher_ctx_encrypt_init(ngtcp2_crypto_cipher_ctx *made, const ngtcp2_crypto_cipher *cipher,
                                          const uint8_t *key) {
    header_key *copy = calloc(1, sizeof *copy);
    if (copy == NULL) return -1;
    copy->kind = (int)(uintptr_t)cipher->native_handle;
    if (copy->kind == HEADER_CHACHA20) {
        memcpy(copy->key.chacha20, key, sizeof copy->key.chacha20);
    } else if (AES_set_encrypt_key(key, copy->kind == HEADER_AES_128 ? 128 : 256, &copy->key.aes) != 0) {
        free(copy);
        return -1;
    }
    made->native_handle = copy;
    return 0;
}

void ngtcp2_crypto_cipher_ctx_free(ngtcp2_crypto_cipher_ctx *context) {
    if (context->native_handle == NULL) return;
    OPENSSL_cleanse(context->native_handle, sizeof(header_key));
    free(context->native_handle);
}

int ngtcp2_crypto_hkdf_extract(uint8_t *out, const ngtcp2_crypto_md *digest, const uint8_t *secret, size_t secret_length,
                               const uint8_t *salt, size_t salt_length) {
    size_t length;
    return HKDF_extract(out, &length, digest->native_handle, secret, secret_length, salt, salt_length) == 1 ? 0 : -1;
}

int ngtcp2_crypto_hkdf_expand(uint8_t *out, size_t length, const ngtcp2_crypto_md *digest, const uint8_t *secret,
                              size_t secret_length, const uint8_t *info, size_t info_length) {
    return HKDF_expand(out, length, digest->native_handle, secret, secret_length, info, info_length) == 1 ? 0 : -1;
}

int ngtcp2_crypto_hkdf(uint8_t *out, size_t length, const ngtcp2_crypto_md *digest, const uint8_t *secret,
                       size_t secret_length, const uint8_t *salt, size_t salt_length, const uint8_t *info,
                       size_t info_length) {
    int result = HKDF(out, length, digest->native_handle, secret, secret_length, salt, salt_length, info, info_length);
    return result == 1 ? 0 : -1;
}

int ngtcp2_crypto_encrypt(uint8_t *out, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                          const uint8_t *plain, size_t plain_length, const uint8_t *nonce, size_t nonce_length,
                          const uint8_t *data, size_t data_length) {
    size_t length;
    int result = EVP_AEAD_CTX_seal(context->native_handle, out, &length, plain_length + aead->max_overhead, nonce,
                                   nonce_length, plain, plain_length, data, data_length);
    return result == 1 ? 0 : -1;
}

int ngtcp2_crypto_decrypt(uint8_t *out, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                          const uint8_t *sealed, size_t sealed_length, const uint8_t *nonce, size_t nonce_length,
                          const uint8_t *data, size_t data_length) {
    (void)aead;
    size_t length;
    if (EVP_AEAD_CTX_open(context->native_handle, out, &length, sealed_length, nonce, nonce_length, sealed, sealed_length,
                          data, data_length) == 1)
        return 0;
    ERR_clear_error();
    return -1;
}

int ngtcp2_crypto_hp_mask(uint8_t *mask, const ngtcp2_crypto_cipher *cipher, const ngtcp2_crypto_cipher_ctx *context,
                          const uint8_t *sample) {
    (void)cipher;
    const header_key *key = context->native_handle;
    if (key->kind == HEADER_CHACHA20) {
        static const uint8_t zeroes[5];
        uint32_t counter = (uint32_t)sample[0] | (uint32_t)sample[1] << 8 | (uint32_t)sample[2] << 16 |
                           (uint32_t)sample[3] << 24;
        CRYPTO_chacha_20(mask, zeroes, sizeof zeroes, key->key.chacha20, sample + 4, counter);
        return 0;
    }
    uint8_t block[16];
    AES_encrypt(sample, block, &key->key.aes);
    memcpy(mask, block, 5);
    return 0;
}

int ngtcp2_crypto_random(uint8_t *bytes, size_t length) {
    RAND_bytes(bytes, length);
    return 0;
}

int ngtcp2_crypto_get_path_challenge_data_cb(ngtcp2_conn *connection, uint8_t *bytes, void *user) {
    (void)connection;
    (void)user;
    return ngtcp2_crypto_random(bytes, NGTCP2_PATH_CHALLENGE_DATALEN);
}

// MARK: TLS (RFC 9001 section 4)

static enum ssl_encryption_level_t tls_level(ngtcp2_crypto_level level) {
    switch (level) {
    case NGTCP2_CRYPTO_LEVEL_INITIAL: return ssl_encryption_initial;
    case NGTCP2_CRYPTO_LEVEL_EARLY: return ssl_encryption_early_data;
    case NGTCP2_CRYPTO_LEVEL_HANDSHAKE: return ssl_encryption_handshake;
    default: return ssl_encryption_application;
    }
}

static ngtcp2_crypto_level quic_level(enum ssl_encryption_level_t level) {
    switch (level) {
    case ssl_encryption_initial: return NGTCP2_CRYPTO_LEVEL_INITIAL;
    case ssl_encryption_early_data: return NGTCP2_CRYPTO_LEVEL_EARLY;
    case ssl_encryption_handshake: return NGTCP2_CRYPTO_LEVEL_HANDSHAKE;
    default: return NGTCP2_CRYPTO_LEVEL_APPLICATION;
    }
}

int ngtcp2_crypto_read_write_crypto_data(ngtcp2_conn *connection, ngtcp2_crypto_level level, const uint8_t *bytes,
                                         size_t length) {
    SSL *tls = ngtcp2_conn_get_tls_native_handle(connection);
    int result = -1;
    ERR_clear_error();
    if (SSL_provide_quic_data(tls, tls_level(level), bytes, length) == 1) {
        if (ngtcp2_conn_get_handshake_completed(connection)) {
            result = SSL_process_quic_post_handshake(tls) == 1 ? 0 : -1;
        } else {
            int progress = SSL_do_handshake(tls);
            if (progress == 1) ngtcp2_conn_handshake_completed(connection);
            result = progress == 1 || SSL_get_error(tls, progress) == SSL_ERROR_WANT_READ ? 0 : -1;
        }
    }
    ERR_clear_error();
    return result;
}

int ngtcp2_crypto_set_remote_transport_params(ngtcp2_conn *connection, void *tls) {
    const uint8_t *bytes;
    size_t length;
    SSL_get_peer_quic_transport_params(tls, &bytes, &length);
    int result = ngtcp2_conn_decode_remote_transport_params(connection, bytes, length);
    if (result == 0) return 0;
    ngtcp2_conn_set_tls_error(connection, result);
    return -1;
}

// A number of RFC 9000 section 16; what follows it, or NULL when it is cut off.
static const uint8_t *read_number(const uint8_t *bytes, const uint8_t *end, uint64_t *number) {
    if (bytes == end) return NULL;
    size_t length = (size_t)1 << (*bytes >> 6);
    if ((size_t)(end - bytes) < length) return NULL;
    *number = *bytes & 0x3F;
    for (size_t index = 1; index < length; index++) *number = *number << 8 | bytes[index];
    return bytes + length;
}

// ngtcp2 always offers that packets may come without the bit that all of QUIC's have (grease_quic_bit, RFC 9287 section 3). That
// bit tells them from STUN's on the same socket (RFC 7983), so the offer is left out.
int ngtcp2_crypto_set_local_transport_params(void *tls, const uint8_t *bytes, size_t length) {
    static const uint64_t grease_quic_bit = 0x2ab2;
    uint8_t kept[1024];
    size_t count = 0;
    const uint8_t *next = bytes, *end = bytes + length;
    if (length > sizeof kept) return -1;
    while (next < end) {
        const uint8_t *start = next;
        uint64_t name, size;
        next = read_number(next, end, &name);
        if (next != NULL) next = read_number(next, end, &size);
        if (next == NULL || size > (uint64_t)(end - next)) return -1;
        next += size;
        if (name == grease_quic_bit) continue;
        memcpy(kept + count, start, (size_t)(next - start));
        count += (size_t)(next - start);
    }
    return SSL_set_quic_transport_params(tls, kept, count) == 1 ? 0 : -1;
}

static ngtcp2_conn *connection_of(SSL *tls) {
    ngtcp2_crypto_conn_ref *reference = SSL_get_app_data(tls);
    return reference->get_conn(reference);
}

static int set_read_secret(SSL *tls, enum ssl_encryption_level_t level, const SSL_CIPHER *cipher, const uint8_t *secret,
                           size_t length) {
    (void)cipher;
    return ngtcp2_crypto_derive_and_install_rx_key(connection_of(tls), NULL, NULL, NULL, quic_level(level), secret,
                                                   length) == 0;
}

static int set_write_secret(SSL *tls, enum ssl_encryption_level_t level, const SSL_CIPHER *cipher, const uint8_t *secret,
                            size_t length) {
    (void)cipher;
    return ngtcp2_crypto_derive_and_install_tx_key(connection_of(tls), NULL, NULL, NULL, quic_level(level), secret,
                                                   length) == 0;
}

static int add_handshake_data(SSL *tls, enum ssl_encryption_level_t level, const uint8_t *bytes, size_t length) {
    return ngtcp2_conn_submit_crypto_data(connection_of(tls), quic_level(level), bytes, length) == 0;
}

static int flush_flight(SSL *tls) {
    (void)tls;
    return 1;
}

static int send_alert(SSL *tls, enum ssl_encryption_level_t level, uint8_t alert) {
    (void)level;
    ngtcp2_conn_set_tls_alert(connection_of(tls), alert);
    return 1;
}

const SSL_QUIC_METHOD adit_quic_method = {set_read_secret, set_write_secret, add_handshake_data, flush_flight, send_alert};
