// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef CADITQUIC_H
#define CADITQUIC_H

#include <stddef.h>
#include <stdint.h>

// QUIC version 1 (RFC 9000) by ngtcp2, with TLS 1.3 (RFC 9001) by the BoringSSL that swift-nio-ssl carries. Nothing of either
// library shows through this header. A connection has no socket and no clock: it is given packets and the time, in nanoseconds,
// which never goes back, and it is asked for packets. Its randomness is BoringSSL's.

// A device's key with a certificate for it, which it signed itself; it may serve many connections.
typedef struct adit_quic_identity adit_quic_identity;
// One connection.
typedef struct adit_quic adit_quic;

// Makes an identity of the 32 secret bytes of an Ed25519 key; NULL when there is no memory.
adit_quic_identity *adit_quic_identity_new(const uint8_t seed[32]);
void adit_quic_identity_free(adit_quic_identity *identity);

// How much a connection takes.
typedef struct {
    // How many streams the peer may have open at once.
    uint64_t streams;
    // How many bytes may come unread, at the beginning and at most, on a stream and on all streams.
    uint64_t first_stream_window, stream_window, first_window, window;
    // How long a handshake may take, in nanoseconds.
    uint64_t handshake_timeout;
    // How large the packets are that it sends at first, 1200 or more, and how large they may become.
    size_t packet_size, most_packet_size;
} adit_quic_limits;

// What a connection tells its owner while it is given a packet or the time. The owner calls nothing of the connection in them
// but `adit_quic_consumed`.
typedef struct {
    // Both ends have proved their keys.
    void (*handshake_completed)(void *owner);
    // The peer opened a stream.
    void (*stream_opened)(void *owner, int64_t stream);
    // Bytes of a stream in their order, and whether they are the last.
    void (*stream_data)(void *owner, int64_t stream, const uint8_t *bytes, size_t length, int is_end);
    // So many further bytes of this end's are with the peer; their memory is not needed any longer.
    void (*stream_acknowledged)(void *owner, int64_t stream, uint64_t count);
    // The peer sends no more of a stream, and not all of it came (RESET_STREAM).
    void (*stream_reset)(void *owner, int64_t stream, uint64_t code);
    // Both directions of a stream are over; nothing names it any more.
    void (*stream_closed)(void *owner, int64_t stream);
    // The peer lets this end open more streams.
    void (*streams_allowed)(void *owner);
    // A datagram (RFC 9221).
    void (*datagram)(void *owner, const uint8_t *bytes, size_t length);
} adit_quic_events;

enum {
    // There is room for more.
    ADIT_QUIC_WRITTEN = 1,
    // The packet is not full: the next write adds to it.
    ADIT_QUIC_MORE = -1,
    // This stream can send nothing now, until a packet has come.
    ADIT_QUIC_STREAM_BLOCKED = -2,
    // This stream sends no more: the peer wants no more of it (STOP_SENDING), which shows here alone.
    ADIT_QUIC_STREAM_OVER = -3,
    // The peer has closed the connection; nothing is sent any more.
    ADIT_QUIC_DRAINING = -4,
    // The connection failed; `adit_quic_write_close` tells the peer.
    ADIT_QUIC_FAILED = -5,
    // The connection is over without a word: idle, or the handshake took too long.
    ADIT_QUIC_TIMED_OUT = -6,
    // The datagram is too large, or the peer takes none.
    ADIT_QUIC_TOO_LARGE = -7,
};

// Makes the end that speaks first. The peer has to prove the Ed25519 key whose public half has the SHA-256 hash `peer`. NULL
// without memory.
adit_quic *adit_quic_client(const adit_quic_identity *identity, const uint8_t peer[32], const adit_quic_limits *limits,
                            const adit_quic_events *events, void *owner, uint64_t now);
// Makes the end that answers; `packet` is the first that came, and is not taken yet. NULL when it begins no connection.
adit_quic *adit_quic_server(const adit_quic_identity *identity, const uint8_t peer[32], const adit_quic_limits *limits,
                            const adit_quic_events *events, void *owner, uint64_t now, const uint8_t *packet,
                            size_t length);
void adit_quic_free(adit_quic *quic);

// Whether a packet belongs to the connection, by its destination connection id (RFC 9000 section 5.2).
int adit_quic_owns(const adit_quic *quic, const uint8_t *packet, size_t length);
// Takes a packet; 0, or DRAINING, FAILED or TIMED_OUT. A packet that is not authentic changes nothing and is no error.
int adit_quic_receive(adit_quic *quic, const uint8_t *packet, size_t length, uint64_t now);
// When `adit_quic_expire` is due; UINT64_MAX for never.
uint64_t adit_quic_deadline(adit_quic *quic);
// Does what is due; 0, or FAILED or TIMED_OUT.
int adit_quic_expire(adit_quic *quic, uint64_t now);
// The way to the peer is another one: a probe that waits for its time is due now. As `adit_quic_expire`.
int adit_quic_hurry(adit_quic *quic, uint64_t now);

// A piece of a stream's bytes. They stay where they are until they are acknowledged.
typedef struct {
    const uint8_t *bytes;
    size_t length;
} adit_quic_span;

// How large packets are from now on; not to be changed while a packet is incomplete.
void adit_quic_set_packet_size(adit_quic *quic, size_t size);
// How large a packet may be now.
size_t adit_quic_packet_size(const adit_quic *quic);
// An offer has at most so many pieces.
enum { ADIT_QUIC_SPANS = 16 };

// What a stream has to send.
typedef struct {
    // Which stream; -1 for none.
    int64_t stream;
    const adit_quic_span *spans;
    size_t count;
    // Whether the pieces are all that the stream has, and whether nothing follows them.
    int is_all, is_end;
    // Whether further streams may follow in the same packet.
    int more;
    // When so many of its bytes are taken, it is another stream's turn.
    size_t enough;
} adit_quic_offer;

// Packets one after another, all of one length but the last, which may have any.
typedef struct {
    // Where they go. The place stays the same until a packet is complete.
    uint8_t *packets;
    size_t room;
    // How many there may be.
    size_t limit;
    // How long they are, and how long the last one is; the length of those before them, 0 for none, is given.
    size_t packet, last_packet;
    // How many there are, and how long they are together.
    size_t count, length;
    // How many bytes of the stream went in; -1 for not even its end.
    int64_t taken;
} adit_quic_run;

// Writes packets of what a stream offers, and of what QUIC itself has to say: until the offer is taken, a packet has another
// length than those before it, or there is no room for one of the largest. WRITTEN when more may follow, 0 when nothing more is to
// be sent now; or MORE, STREAM_BLOCKED, STREAM_OVER, FAILED. What the run says holds whatever is returned.
int adit_quic_write(adit_quic *quic, adit_quic_run *run, const adit_quic_offer *offer, uint64_t now);
// Writes a packet with a datagram; `packet` has room for one of the largest. `taken` says whether it went in. The packet's length;
// 0 when nothing is to be sent now; or FAILED, TOO_LARGE.
long adit_quic_write_datagram(adit_quic *quic, uint8_t *packet, const adit_quic_span *spans, size_t count, int *taken,
                              uint64_t now);
// Writes the packet that closes the connection, with an application's code, or with the failure's when there is one; its length,
// or 0.
long adit_quic_write_close(adit_quic *quic, uint8_t *packet, uint64_t code, uint64_t now);
// To be called after a round of writes: it sets the pace.
void adit_quic_wrote(adit_quic *quic, uint64_t now);
// How many bytes may be written in one round.
size_t adit_quic_quantum(adit_quic *quic);

// Opens a stream of both directions; -1 when the peer allows no more now.
int64_t adit_quic_open(adit_quic *quic);
// The pipeline has read so many bytes of a stream: the peer may send as many more.
void adit_quic_consumed(adit_quic *quic, int64_t stream, uint64_t count);
// Sends no more of a stream (RESET_STREAM).
void adit_quic_reset(adit_quic *quic, int64_t stream, uint64_t code);
// Reads no more of a stream (STOP_SENDING).
void adit_quic_stop(adit_quic *quic, int64_t stream, uint64_t code);
// A packet is sent after so many nanoseconds without one from the peer; UINT64_MAX for none.
void adit_quic_keep_alive(adit_quic *quic, uint64_t after);
// The largest datagram that fits into a packet now; 0 when the peer takes none.
size_t adit_quic_datagram_limit(adit_quic *quic);
// 32 bytes that only both ends know (RFC 8446 section 7.5); 0 before the handshake is complete.
int adit_quic_export(adit_quic *quic, const char *label, size_t length, uint8_t secret[32]);

// Figures of a connection.
typedef struct {
    // Round trips in nanoseconds; the smoothed one is 0 before the first is measured.
    uint64_t smoothed_round_trip, least_round_trip;
    // Bytes that may be under way, and are.
    uint64_t congestion_window, in_flight;
    // The estimated rate of delivery in bytes a second.
    uint64_t delivery_rate;
} adit_quic_figures;
void adit_quic_measure(adit_quic *quic, adit_quic_figures *figures);

// Why a connection ended, in a static text; the code is that of TLS's alert (256 + alert), of QUIC, or of the application.
const char *adit_quic_reason(const adit_quic *quic, uint64_t *code, int *is_application);

#endif
