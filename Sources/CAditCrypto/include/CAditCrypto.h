// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef CADITCRYPTO_H
#define CADITCRYPTO_H

#include <stddef.h>
#include <stdint.h>

// The parts of BoringSSL that swift-crypto carries but does not offer in Swift. Nothing of BoringSSL shows through
// this header, so that the library behind it can be changed here alone.

// AES-128 in CFB mode with 128-bit feedback (NIST SP 800-38A section 6.3), one direction of a byte stream.
typedef struct adit_cfb adit_cfb;

// Makes a stream; NULL when there is no memory.
adit_cfb *adit_cfb_new(const uint8_t key[16], const uint8_t iv[16]);
// Encrypts `length` bytes in place and advances the stream.
void adit_cfb_encrypt(adit_cfb *stream, uint8_t *bytes, size_t length);
// Decrypts `length` bytes in place and advances the stream.
void adit_cfb_decrypt(adit_cfb *stream, uint8_t *bytes, size_t length);
// Wipes and frees.
void adit_cfb_free(adit_cfb *stream);

// An AEAD with a 32-byte key and a 16-byte tag behind the ciphertext.
typedef struct adit_aead adit_aead;

// AES-256-GCM, 12-byte nonces; NULL when there is no memory.
adit_aead *adit_aead_new_aes_256_gcm(const uint8_t key[32]);
// XChaCha20-Poly1305, 24-byte nonces; NULL when there is no memory.
adit_aead *adit_aead_new_xchacha20_poly1305(const uint8_t key[32]);
// Seals `length` bytes of `in` to `length` + 16 bytes at `out`; 0 on failure.
int adit_aead_seal(const adit_aead *aead, uint8_t *out, const uint8_t *nonce, size_t nonce_length, const uint8_t *in,
                   size_t length, const uint8_t *ad, size_t ad_length);
// Opens `length` bytes of `in`, tag included, to `length` - 16 bytes at `out`; 0 when they are not authentic.
int adit_aead_open(const adit_aead *aead, uint8_t *out, const uint8_t *nonce, size_t nonce_length, const uint8_t *in,
                   size_t length, const uint8_t *ad, size_t ad_length);
// Wipes and frees.
void adit_aead_free(adit_aead *aead);

#endif
