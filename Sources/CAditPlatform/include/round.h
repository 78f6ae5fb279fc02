// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_ROUND_H
#define ADIT_ROUND_H

#include <stddef.h>
#include <stdint.h>

#include "datagram.h"

// Many small datagrams, each from and to another peer, with one call in each direction (recvmmsg(2), sendmmsg(2)).
// Every function returns a negative errno when it fails.

enum {
    // How many datagrams one call moves at most.
    ADIT_ROUND_SLOTS = 64,
    // How large one of the places is into which a datagram is received; a longer one is left out.
    ADIT_ROUND_SLOT_SIZE = 2048,
};

// A datagram on its way out; the bytes belong to the caller.
struct adit_round_answer {
    struct adit_datagram_peer peer;
    const void *bytes;
    uint32_t length;
};

// Readies a bound socket for rounds: the kernel merges no datagrams into runs.
void adit_round_prepare(int fd);

// Receives what is there into `slab`, which has ADIT_ROUND_SLOTS places. Gives how many datagrams were taken; those that
// were too long have the length 0.
int adit_round_receive(int fd, void *slab, struct adit_datagram *received);

// Sends at most ADIT_ROUND_SLOTS datagrams on a socket of family 4 or 6 (every address of both families: 6). A datagram
// that the system does not take, for whatever reason, is thrown away and the next one is sent; gives how many those were.
int adit_round_send(int fd, int family, const struct adit_round_answer *answers, size_t count);

#endif
