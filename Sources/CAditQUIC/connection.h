// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_QUIC_CONNECTION_H
#define ADIT_QUIC_CONNECTION_H

#include "include/CAditQUIC.h"

#include <CNIOBoringSSL_ssl.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

// The protocol that Adit speaks over QUIC, by ALPN (RFC 7301).
#define ADIT_QUIC_ALPN "\x06" "adit/1"

struct adit_quic_identity {
    SSL_CTX *context;
};

struct adit_quic {
    ngtcp2_conn *connection;
    SSL *tls;
    // How ngtcp2's functions find the connection from TLS.
    ngtcp2_crypto_conn_ref reference;
    // The SHA-256 hash of the key that the peer has to prove.
    uint8_t peer[32];
    adit_quic_events events;
    void *owner;
    size_t packet_size, least_packet_size, most_packet_size;
    // How many bytes of which stream the packet being read acknowledges, as far as its owner was not told.
    int64_t acknowledged_stream;
    uint64_t acknowledged;
    // When the handshake has to be complete.
    uint64_t handshake_end;
    // With what this end's connection ids begin, and the one that the client's first packets are for.
    uint8_t id_tag[4];
    ngtcp2_cid original_id;
    // Which way packets go is ICE's affair: for QUIC there is one path, whose addresses mean nothing.
    struct sockaddr_in local, remote;
    ngtcp2_path path;
    ngtcp2_connection_close_error failure;
    int has_failed;
    int is_silent;
};

// How TLS hands keys and messages to ngtcp2.
extern const SSL_QUIC_METHOD adit_quic_method;

// Makes one end of TLS for a connection, whose `peer` and `reference` are set; NULL without memory.
SSL *adit_quic_tls(const struct adit_quic_identity *identity, struct adit_quic *quic, int is_server);

#endif
