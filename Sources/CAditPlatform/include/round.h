// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_ROUND_H
#define ADIT_ROUND_H

#include <stddef.h>
#include <stdint.h>

#include "datagram.h"

// Many datagrams, each from and to another peer, with one call in each direction (recvmmsg(2), sendmmsg(2)). Every
// function returns a negative errno when it fails.

enum {
    // How many datagrams one call moves at most.
    ADIT_ROUND_SLOTS = 64,
    // The longest datagram, or run of them, that is received; a longer one, which UDP does not have, is left out.
    ADIT_ROUND_DATAGRAM_SIZE = 65535,
    // How many bytes are free in front of a received datagram.
    ADIT_ROUND_HEADROOM = 64,
    // From one slot to the next: room behind the datagram too, and not a power of two, so that the beginnings of
    // datagrams do not crowd into few lines of the processor's cache.
    ADIT_ROUND_SLOT_SIZE = ADIT_ROUND_HEADROOM + 65536 + 64,
};

// What one thread receives with, and sends with.
struct adit_round;

// A datagram on its way out; the bytes belong to the caller.
struct adit_round_answer {
    struct adit_datagram_peer peer;
    const void *bytes;
    uint32_t length;
    // The place of the next one for the same socket in the array; negative for none.
    int32_t next;
};

// Makes a round without places for datagrams to come, NULL without memory.
struct adit_round *adit_round_create(void);
// Gives a round its places: the slab of ADIT_ROUND_SLOTS slots, or NULL without memory. It is freed with the round.
uint8_t *adit_round_slab(struct adit_round *round);
void adit_round_destroy(struct adit_round *round);

// Makes a socket that is bound to one address of family 4 or 6 and hears of the ICMP errors of what it sent
// (adit_probe_next_refusal).
int adit_round_bind(int family, uint64_t high, uint64_t low, uint16_t port);

// Receives what is there into the slots from `first` on. Gives how many slots were filled, each with a datagram or a run of
// them, and writes them to received[first] and on; those that were too long have the length 0.
int adit_round_receive(struct adit_round *round, int fd, int first, struct adit_datagram *received);

// Sends the datagrams of the chain that begins at answers[first] on a socket of family 4 or 6 (every address of both
// families: 6). Neighbours of one length to one peer leave as one run, which the kernel cuts up (udp(7), UDP_SEGMENT).
// A datagram that the system does not take, for whatever reason, is thrown away and the next one is sent; gives how many
// those were.
int adit_round_send(
    struct adit_round *round, int fd, int family, const struct adit_round_answer *answers, int32_t first
);

#endif
