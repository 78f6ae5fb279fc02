// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#include "connection.h"

#include <CNIOBoringSSL_mem.h>
#include <CNIOBoringSSL_rand.h>
#include <stdlib.h>
#include <string.h>

// All connection ids of this end begin with the same bytes of the connection's own.
enum { ID_LENGTH = 8, ID_TAG_LENGTH = 4 };

// Probes of a connection that nothing comes back on follow each other at least so often, in nanoseconds.
static const uint64_t LONGEST_PROBE_WAIT = 2 * NGTCP2_SECONDS;

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference) {
    return ((adit_quic *)reference->user_data)->connection;
}

static void make_id(const adit_quic *quic, uint8_t *bytes) {
    RAND_bytes(bytes, ID_LENGTH);
    memcpy(bytes, quic->id_tag, ID_TAG_LENGTH);
}

// MARK: What ngtcp2 tells

static void random_bytes(uint8_t *bytes, size_t length, const ngtcp2_rand_ctx *context) {
    (void)context;
    RAND_bytes(bytes, length);
}

static int new_connection_id(ngtcp2_conn *connection, ngtcp2_cid *id, uint8_t *token, size_t length, void *user) {
    (void)connection;
    if (length != ID_LENGTH) return NGTCP2_ERR_CALLBACK_FAILURE;
    id->datalen = length;
    make_id(user, id->data);
    RAND_bytes(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static int handshake_completed(ngtcp2_conn *connection, void *user) {
    (void)connection;
    adit_quic *quic = user;
    quic->events.handshake_completed(quic->owner);
    return 0;
}

static int stream_opened(ngtcp2_conn *connection, int64_t stream, void *user) {
    (void)connection;
    adit_quic *quic = user;
    quic->events.stream_opened(quic->owner, stream);
    return 0;
}

static int stream_data(ngtcp2_conn *connection, uint32_t flags, int64_t stream, uint64_t offset, const uint8_t *bytes,
                       size_t length, void *user, void *stream_user) {
    (void)connection;
    (void)offset;
    (void)stream_user;
    adit_quic *quic = user;
    quic->events.stream_data(quic->owner, stream, bytes, length, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    return 0;
}

static void tell_acknowledged(adit_quic *quic) {
    uint64_t count = quic->acknowledged;
    quic->acknowledged = 0;
    if (count > 0) quic->events.stream_acknowledged(quic->owner, quic->acknowledged_stream, count);
}

static int stream_acknowledged(ngtcp2_conn *connection, int64_t stream, uint64_t offset, uint64_t length, void *user,
                               void *stream_user) {
    (void)connection;
    (void)offset;
    (void)stream_user;
    adit_quic *quic = user;
    // One packet acknowledges many, most of them of one stream.
    if (stream != quic->acknowledged_stream) tell_acknowledged(quic);
    quic->acknowledged_stream = stream;
    quic->acknowledged += length;
    return 0;
}

static int stream_reset(ngtcp2_conn *connection, int64_t stream, uint64_t size, uint64_t code, void *user,
                        void *stream_user) {
    (void)connection;
    (void)size;
    (void)stream_user;
    adit_quic *quic = user;
    quic->events.stream_reset(quic->owner, stream, code);
    return 0;
}

static int stream_closed(ngtcp2_conn *connection, uint32_t flags, int64_t stream, uint64_t code, void *user,
                         void *stream_user) {
    (void)flags;
    (void)code;
    (void)stream_user;
    adit_quic *quic = user;
    tell_acknowledged(quic);
    if (!ngtcp2_conn_is_local_stream(connection, stream)) ngtcp2_conn_extend_max_streams_bidi(connection, 1);
    quic->events.stream_closed(quic->owner, stream);
    return 0;
}

static int streams_allowed(ngtcp2_conn *connection, uint64_t limit, void *user) {
    (void)connection;
    (void)limit;
    adit_quic *quic = user;
    quic->events.streams_allowed(quic->owner);
    return 0;
}

static int datagram(ngtcp2_conn *connection, uint32_t flags, const uint8_t *bytes, size_t length, void *user) {
    (void)connection;
    (void)flags;
    adit_quic *quic = user;
    quic->events.datagram(quic->owner, bytes, length);
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = handshake_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = stream_data,
    .acked_stream_data_offset = stream_acknowledged,
    .stream_open = stream_opened,
    .stream_close = stream_closed,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .extend_max_local_streams_bidi = streams_allowed,
    .rand = random_bytes,
    .get_new_connection_id = new_connection_id,
    .update_key = ngtcp2_crypto_update_key_cb,
    .stream_reset = stream_reset,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .recv_datagram = datagram,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

// MARK: Making and freeing

static adit_quic *make(const adit_quic_identity *identity, const uint8_t peer[32], const adit_quic_limits *limits,
                       const adit_quic_events *events, void *owner, uint64_t now, const ngtcp2_pkt_hd *first) {
    adit_quic *quic = calloc(1, sizeof *quic);
    if (quic == NULL) return NULL;
    quic->reference.get_conn = connection_of;
    quic->reference.user_data = quic;
    memcpy(quic->peer, peer, sizeof quic->peer);
    quic->events = *events;
    quic->owner = owner;
    quic->packet_size = quic->least_packet_size = limits->packet_size;
    quic->most_packet_size = limits->most_packet_size;
    RAND_bytes(quic->id_tag, sizeof quic->id_tag);
    quic->local.sin_family = quic->remote.sin_family = AF_INET;
    quic->local.sin_port = 1;
    quic->remote.sin_port = 2;
    quic->path.local = (ngtcp2_addr){(struct sockaddr *)&quic->local, sizeof quic->local};
    quic->path.remote = (ngtcp2_addr){(struct sockaddr *)&quic->remote, sizeof quic->remote};
    ngtcp2_connection_close_error_default(&quic->failure);

    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now;
    settings.cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings.max_tx_udp_payload_size = limits->most_packet_size;
    settings.no_tx_udp_payload_size_shaping = 1;
    settings.no_pmtud = 1;
    settings.max_window = limits->window;
    settings.max_stream_window = limits->stream_window;
    settings.handshake_timeout = limits->handshake_timeout;
    quic->handshake_end = now + limits->handshake_timeout;

    ngtcp2_transport_params parameters;
    ngtcp2_transport_params_default(&parameters);
    parameters.initial_max_streams_bidi = limits->streams;
    parameters.initial_max_data = limits->first_window;
    parameters.initial_max_stream_data_bidi_local = limits->first_stream_window;
    parameters.initial_max_stream_data_bidi_remote = limits->first_stream_window;
    parameters.max_datagram_frame_size = 65535;
    // A path may be away for an hour: how long a connection without one is kept, its owner decides.
    parameters.max_idle_timeout = 0;
    parameters.disable_active_migration = 1;
    parameters.active_connection_id_limit = 2;

    ngtcp2_cid own = {.datalen = ID_LENGTH};
    make_id(quic, own.data);
    int result;
    if (first != NULL) {
        quic->original_id = first->dcid;
        parameters.original_dcid = first->dcid;
        result = ngtcp2_conn_server_new(&quic->connection, &first->scid, &own, &quic->path, first->version, &callbacks,
                                        &settings, &parameters, NULL, quic);
    } else {
        ngtcp2_cid peer = {.datalen = 18};
        RAND_bytes(peer.data, peer.datalen);
        result = ngtcp2_conn_client_new(&quic->connection, &peer, &own, &quic->path, NGTCP2_PROTO_VER_V1, &callbacks,
                                        &settings, &parameters, NULL, quic);
    }
    if (result == 0) quic->tls = adit_quic_tls(identity, quic, first != NULL);
    if (quic->tls == NULL) {
        adit_quic_free(quic);
        return NULL;
    }
    ngtcp2_conn_set_tls_native_handle(quic->connection, quic->tls);
    return quic;
}

adit_quic *adit_quic_client(const adit_quic_identity *identity, const uint8_t peer[32], const adit_quic_limits *limits,
                            const adit_quic_events *events, void *owner, uint64_t now) {
    return make(identity, peer, limits, events, owner, now, NULL);
}

adit_quic *adit_quic_server(const adit_quic_identity *identity, const uint8_t peer[32], const adit_quic_limits *limits,
                            const adit_quic_events *events, void *owner, uint64_t now, const uint8_t *packet,
                            size_t length) {
    ngtcp2_pkt_hd first;
    if (ngtcp2_accept(&first, packet, length) != 0 || first.version != NGTCP2_PROTO_VER_V1) return NULL;
    return make(identity, peer, limits, events, owner, now, &first);
}

void adit_quic_free(adit_quic *quic) {
    if (quic == NULL) return;
    ngtcp2_conn_del(quic->connection);
    SSL_free(quic->tls);
    free(quic);
}

// MARK: Packets and time

int adit_quic_owns(const adit_quic *quic, const uint8_t *packet, size_t length) {
    ngtcp2_version_cid found;
    if (ngtcp2_pkt_decode_version_cid(&found, packet, length, ID_LENGTH) != 0) return 0;
    if (found.dcidlen >= ID_TAG_LENGTH && memcmp(found.dcid, quic->id_tag, ID_TAG_LENGTH) == 0) return 1;
    // The client's first packets go to an id of its own choice.
    return quic->original_id.datalen > 0 && found.dcidlen == quic->original_id.datalen &&
           memcmp(found.dcid, quic->original_id.data, found.dcidlen) == 0;
}

static int fail(adit_quic *quic, int error) {
    switch (error) {
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
    case NGTCP2_ERR_DROP_CONN: quic->is_silent = 1; return ADIT_QUIC_TIMED_OUT;
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING:
        quic->is_silent = 1;
        ngtcp2_conn_get_connection_close_error(quic->connection, &quic->failure);
        return ADIT_QUIC_DRAINING;
    case NGTCP2_ERR_CRYPTO:
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &quic->failure, ngtcp2_conn_get_tls_alert(quic->connection), NULL, 0);
        break;
    default: ngtcp2_connection_close_error_set_transport_error_liberr(&quic->failure, error, NULL, 0);
    }
    quic->has_failed = 1;
    return ADIT_QUIC_FAILED;
}

int adit_quic_receive(adit_quic *quic, const uint8_t *packet, size_t length, uint64_t now) {
    ngtcp2_pkt_info info = {0};
    int result = ngtcp2_conn_read_pkt(quic->connection, &quic->path, &info, packet, length, now);
    tell_acknowledged(quic);
    return result == 0 ? 0 : fail(quic, result);
}

// When a probe is due that waits for its time (RFC 9002 section 6.2), and when the next would be if the wait did not double for
// ever; UINT64_MAX for neither. No end of a silent path knows when it is mended.
static uint64_t probe_due(adit_quic *quic, uint64_t *capped) {
    ngtcp2_conn_stat stat;
    ngtcp2_conn_get_conn_stat(quic->connection, &stat);
    uint64_t sent = 0;
    for (size_t space = 0; space < NGTCP2_PKTNS_ID_MAX; space++) {
        uint64_t time = stat.last_tx_pkt_ts[space];
        if (time != UINT64_MAX && time > sent) sent = time;
    }
    uint64_t wait = stat.smoothed_rtt * 3 > LONGEST_PROBE_WAIT ? stat.smoothed_rtt * 3 : LONGEST_PROBE_WAIT;
    *capped = stat.loss_detection_timer;
    // The handshake has its own end, and a server that may not send yet (RFC 9000 section 8.1) cannot probe.
    if (!ngtcp2_conn_get_handshake_completed(quic->connection)) return *capped;
    if (sent > 0 && *capped != UINT64_MAX && *capped > sent + wait) *capped = sent + wait;
    return stat.loss_detection_timer;
}

uint64_t adit_quic_deadline(adit_quic *quic) {
    uint64_t capped, due = ngtcp2_conn_get_expiry(quic->connection);
    probe_due(quic, &capped);
    return capped < due ? capped : due;
}

int adit_quic_hurry(adit_quic *quic, uint64_t now) {
    uint64_t capped, due = probe_due(quic, &capped);
    if (due == UINT64_MAX || due < now) due = now;
    if (!ngtcp2_conn_get_handshake_completed(quic->connection) && due >= quic->handshake_end) due = now;
    int result = ngtcp2_conn_handle_expiry(quic->connection, due);
    return result == 0 ? 0 : fail(quic, result);
}

int adit_quic_expire(adit_quic *quic, uint64_t now) {
    uint64_t capped, due = probe_due(quic, &capped);
    // Its time is come early: only the timer of probes lies between.
    if (capped <= now && due > now) return adit_quic_hurry(quic, now);
    int result = ngtcp2_conn_handle_expiry(quic->connection, now);
    return result == 0 ? 0 : fail(quic, result);
}

void adit_quic_set_packet_size(adit_quic *quic, size_t size) {
    if (size < quic->least_packet_size) size = quic->least_packet_size;
    quic->packet_size = size < quic->most_packet_size ? size : quic->most_packet_size;
}

size_t adit_quic_packet_size(const adit_quic *quic) {
    return quic->packet_size;
}

static int written(adit_quic *quic, ngtcp2_ssize result) {
    switch (result) {
    case NGTCP2_ERR_WRITE_MORE: return ADIT_QUIC_MORE;
    case NGTCP2_ERR_STREAM_DATA_BLOCKED: return ADIT_QUIC_STREAM_BLOCKED;
    case NGTCP2_ERR_STREAM_SHUT_WR:
    case NGTCP2_ERR_STREAM_NOT_FOUND: return ADIT_QUIC_STREAM_OVER;
    default: return result >= 0 ? (int)result : fail(quic, (int)result);
    }
}

int adit_quic_write(adit_quic *quic, adit_quic_run *run, const adit_quic_offer *offer, uint64_t now) {
    uint32_t flags = (offer->more ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0) | (offer->is_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
    ngtcp2_vec pieces[ADIT_QUIC_SPANS];
    size_t first = 0, count = offer->count, left = 0;
    for (size_t index = 0; index < count; index++) {
        pieces[index].base = (uint8_t *)offer->spans[index].bytes;
        pieces[index].len = offer->spans[index].length;
        left += offer->spans[index].length;
    }
    run->length = run->last_packet = run->count = 0;
    run->taken = -1;
    while (run->count < run->limit && run->room - run->length >= quic->packet_size) {
        ngtcp2_pkt_info info;
        ngtcp2_ssize used = -1;
        ngtcp2_ssize result = ngtcp2_conn_writev_stream(quic->connection, NULL, &info, run->packets + run->length, quic->packet_size,
                                                        &used, flags, offer->stream, pieces + first, count - first, now);
        if (used >= 0) {
            size_t bytes = (size_t)used;
            run->taken = (run->taken < 0 ? 0 : run->taken) + used;
            left -= bytes;
            for (; first < count && bytes >= pieces[first].len; first++) bytes -= pieces[first].len;
            if (first < count) {
                pieces[first].base += bytes;
                pieces[first].len -= bytes;
            }
        }
        if (result <= 0) return written(quic, result);
        run->length += (size_t)result;
        run->last_packet = (size_t)result;
        run->count++;
        if (run->packet == 0) run->packet = (size_t)result;
        // What is as long as the others may have more after it.
        if ((size_t)result != run->packet) break;
        if (offer->stream < 0) continue;
        if (run->taken >= 0 && (left == 0 || (size_t)run->taken >= offer->enough)) break;
        // A packet is to be filled with what the stream has beyond the pieces.
        if (left < quic->packet_size && !offer->is_all) break;
    }
    return ADIT_QUIC_WRITTEN;
}

long adit_quic_write_datagram(adit_quic *quic, uint8_t *packet, const adit_quic_span *spans, size_t count, int *taken,
                              uint64_t now) {
    ngtcp2_vec pieces[4];
    ngtcp2_pkt_info info;
    *taken = 0;
    if (count > sizeof pieces / sizeof *pieces) return ADIT_QUIC_TOO_LARGE;
    size_t used = 0;
    for (size_t index = 0; index < count; index++) {
        // ngtcp2 wants no empty pieces.
        if (spans[index].length == 0) continue;
        pieces[used].base = (uint8_t *)spans[index].bytes;
        pieces[used++].len = spans[index].length;
    }
    ngtcp2_ssize result = ngtcp2_conn_writev_datagram(quic->connection, NULL, &info, packet, quic->packet_size, taken, 0, 0,
                                                      pieces, used, now);
    if (result == NGTCP2_ERR_INVALID_ARGUMENT || result == NGTCP2_ERR_INVALID_STATE) return ADIT_QUIC_TOO_LARGE;
    return written(quic, result);
}

long adit_quic_write_close(adit_quic *quic, uint8_t *packet, uint64_t code, uint64_t now) {
    if (quic->is_silent) return 0;
    if (!quic->has_failed) ngtcp2_connection_close_error_set_application_error(&quic->failure, code, NULL, 0);
    ngtcp2_pkt_info info;
    ngtcp2_ssize length = ngtcp2_conn_write_connection_close(quic->connection, NULL, &info, packet, quic->packet_size,
                                                             &quic->failure, now);
    return length > 0 ? (long)length : 0;
}

void adit_quic_wrote(adit_quic *quic, uint64_t now) {
    // The pace follows the round trip, which the handshake measures: its own few packets need none. The next one was allowed in
    // the past then.
    int is_paced = ngtcp2_conn_get_handshake_completed(quic->connection);
    ngtcp2_conn_update_pkt_tx_time(quic->connection, is_paced || now < NGTCP2_SECONDS ? now : now - NGTCP2_SECONDS);
}

size_t adit_quic_quantum(adit_quic *quic) {
    return ngtcp2_conn_get_send_quantum(quic->connection);
}

// MARK: Streams

int64_t adit_quic_open(adit_quic *quic) {
    int64_t stream;
    return ngtcp2_conn_open_bidi_stream(quic->connection, &stream, NULL) == 0 ? stream : -1;
}

void adit_quic_consumed(adit_quic *quic, int64_t stream, uint64_t count) {
    // Of a stream that is over only the connection's window counts.
    (void)ngtcp2_conn_extend_max_stream_offset(quic->connection, stream, count);
    ngtcp2_conn_extend_max_offset(quic->connection, count);
}

void adit_quic_reset(adit_quic *quic, int64_t stream, uint64_t code) {
    (void)ngtcp2_conn_shutdown_stream_write(quic->connection, stream, code);
}

void adit_quic_stop(adit_quic *quic, int64_t stream, uint64_t code) {
    (void)ngtcp2_conn_shutdown_stream_read(quic->connection, stream, code);
}

void adit_quic_keep_alive(adit_quic *quic, uint64_t after) {
    // What stands for "never" has changed between versions of the library, and it adds the time to the clock without a check.
    const uint64_t longest = UINT64_C(1) << 60;
    ngtcp2_conn_set_keep_alive_timeout(quic->connection, after < longest ? after : longest);
}

size_t adit_quic_datagram_limit(adit_quic *quic) {
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(quic->connection);
    // A short header with its connection id and packet number, the frame's type and length, and the tag.
    const size_t overhead = 1 + NGTCP2_MAX_CIDLEN + 4 + 3 + 16;
    if (peer == NULL || peer->max_datagram_frame_size <= 3) return 0;
    // The way may be another one by the time that a datagram goes.
    size_t fits = quic->least_packet_size - overhead;
    return fits < peer->max_datagram_frame_size - 3 ? fits : (size_t)peer->max_datagram_frame_size - 3;
}

int adit_quic_export(adit_quic *quic, const char *label, size_t length, uint8_t secret[32]) {
    if (!ngtcp2_conn_get_handshake_completed(quic->connection)) return 0;
    return SSL_export_keying_material(quic->tls, secret, 32, label, length, NULL, 0, 0);
}

void adit_quic_measure(adit_quic *quic, adit_quic_figures *figures) {
    ngtcp2_conn_stat known;
    ngtcp2_conn_get_conn_stat(quic->connection, &known);
    int is_measured = known.first_rtt_sample_ts != UINT64_MAX;
    figures->smoothed_round_trip = is_measured ? known.smoothed_rtt : 0;
    figures->least_round_trip = is_measured ? known.min_rtt : 0;
    figures->congestion_window = known.cwnd;
    figures->in_flight = known.bytes_in_flight;
    figures->delivery_rate = known.delivery_rate_sec;
}

const char *adit_quic_reason(const adit_quic *quic, uint64_t *code, int *is_application) {
    *code = quic->failure.error_code;
    *is_application = quic->failure.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
    if (*is_application) return "closed by the other device";
    if (*code >= 0x100 && *code < 0x200) return SSL_alert_desc_string_long((int)(*code - 0x100));
    if (quic->is_silent && *code == 0) return "no answer";
    return *code == 0 ? "closed" : "a fault of the protocol";
}
