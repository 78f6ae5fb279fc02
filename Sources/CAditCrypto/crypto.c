// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#include "CAditCrypto.h"

#include <stdlib.h>

#include <CCryptoBoringSSL_aead.h>
#include <CCryptoBoringSSL_aes.h>
#include <CCryptoBoringSSL_mem.h>

struct adit_cfb {
    AES_KEY key;
    uint8_t iv[16];
    int used;
};

adit_cfb *adit_cfb_new(const uint8_t key[16], const uint8_t iv[16]) {
    adit_cfb *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) return NULL;
    if (AES_set_encrypt_key(key, 128, &stream->key) != 0) {
        adit_cfb_free(stream);
        return NULL;
    }
    for (size_t index = 0; index < sizeof(stream->iv); index++) stream->iv[index] = iv[index];
    return stream;
}

void adit_cfb_encrypt(adit_cfb *stream, uint8_t *bytes, size_t length) {
    AES_cfb128_encrypt(bytes, bytes, length, &stream->key, stream->iv, &stream->used, AES_ENCRYPT);
}

void adit_cfb_decrypt(adit_cfb *stream, uint8_t *bytes, size_t length) {
    AES_cfb128_encrypt(bytes, bytes, length, &stream->key, stream->iv, &stream->used, AES_DECRYPT);
}

void adit_cfb_free(adit_cfb *stream) {
    if (stream == NULL) return;
    OPENSSL_cleanse(stream, sizeof(*stream));
    free(stream);
}

struct adit_aead {
    EVP_AEAD_CTX context;
};

static adit_aead *adit_aead_new(const EVP_AEAD *algorithm, const uint8_t *key) {
    adit_aead *aead = calloc(1, sizeof(*aead));
    if (aead == NULL) return NULL;
    if (EVP_AEAD_CTX_init(&aead->context, algorithm, key, 32, EVP_AEAD_DEFAULT_TAG_LENGTH, NULL) != 1) {
        free(aead);
        return NULL;
    }
    return aead;
}

adit_aead *adit_aead_new_aes_256_gcm(const uint8_t key[32]) {
    return adit_aead_new(EVP_aead_aes_256_gcm(), key);
}

adit_aead *adit_aead_new_xchacha20_poly1305(const uint8_t key[32]) {
    return adit_aead_new(EVP_aead_xchacha20_poly1305(), key);
}

int adit_aead_seal(const adit_aead *aead, uint8_t *out, const uint8_t *nonce, size_t nonce_length, const uint8_t *in,
                   size_t length, const uint8_t *ad, size_t ad_length) {
    size_t written = 0;
    return EVP_AEAD_CTX_seal(&aead->context, out, &written, length + 16, nonce, nonce_length, in, length, ad,
                             ad_length) == 1
        && written == length + 16;
}

int adit_aead_open(const adit_aead *aead, uint8_t *out, const uint8_t *nonce, size_t nonce_length, const uint8_t *in,
                   size_t length, const uint8_t *ad, size_t ad_length) {
    size_t written = 0;
    if (length < 16) return 0;
    return EVP_AEAD_CTX_open(&aead->context, out, &written, length - 16, nonce, nonce_length, in, length, ad,
                             ad_length) == 1
        && written == length - 16;
}

void adit_aead_free(adit_aead *aead) {
    if (aead == NULL) return;
    EVP_AEAD_CTX_cleanup(&aead->context);
    OPENSSL_cleanse(aead, sizeof(*aead));
    free(aead);
}
