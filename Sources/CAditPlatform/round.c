// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "round.h"

#ifdef __linux__

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)),
    // How many datagrams one call sends, together with those in runs.
    PARTS = 512,
    // What a run may hold in bytes, and in datagrams (UDP_MAX_SEGMENTS of older kernels).
    RUN_BYTES = 60000,
    RUN_DATAGRAMS = 64,
    // A longer datagram fits no Ethernet frame, and the kernel cuts a run into no larger ones.
    RUN_DATAGRAM_SIZE = 1452,
};

struct adit_round {
    uint8_t *slab;
    struct mmsghdr in[ADIT_ROUND_SLOTS];
    struct iovec in_places[ADIT_ROUND_SLOTS];
    struct sockaddr_in6 sources[ADIT_ROUND_SLOTS];
    _Alignas(struct cmsghdr) uint8_t in_controls[ADIT_ROUND_SLOTS][CONTROL_SIZE];
    struct mmsghdr out[ADIT_ROUND_SLOTS];
    struct iovec parts[PARTS];
    struct sockaddr_storage targets[ADIT_ROUND_SLOTS];
    _Alignas(struct cmsghdr) uint8_t out_controls[ADIT_ROUND_SLOTS][CONTROL_SIZE];
    // The way out does not cut runs up.
    int sends_no_runs;
};

struct adit_round *adit_round_create(void) { return calloc(1, sizeof(struct adit_round)); }

uint8_t *adit_round_slab(struct adit_round *round) {
    if (round->slab) return round->slab;
    round->slab = malloc((size_t)ADIT_ROUND_SLOTS * ADIT_ROUND_SLOT_SIZE);
    if (!round->slab) return NULL;
    for (int i = 0; i < ADIT_ROUND_SLOTS; i++) {
        round->in_places[i].iov_base = round->slab + (size_t)i * ADIT_ROUND_SLOT_SIZE + ADIT_ROUND_HEADROOM;
        round->in_places[i].iov_len = ADIT_ROUND_DATAGRAM_SIZE;
        round->in[i].msg_hdr = (struct msghdr){
            .msg_name = &round->sources[i],
            .msg_namelen = sizeof round->sources[i],
            .msg_iov = &round->in_places[i],
            .msg_iovlen = 1,
            .msg_control = round->in_controls[i],
            .msg_controllen = CONTROL_SIZE,
        };
    }
    return round->slab;
}

void adit_round_destroy(struct adit_round *round) {
    if (!round) return;
    free(round->slab);
    free(round);
}

int adit_round_bind(int family, uint64_t high, uint64_t low, uint16_t port) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    const struct adit_datagram_peer local = {.family = (uint8_t)family, .high = high, .low = low, .port = port};
    int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    // DF is clear unless a client asks for it (RFC 8656 section 14.8).
    const int mtu_discovery = domain == AF_INET ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT;
    struct sockaddr_storage address;
    socklen_t size = fill(&address, domain, &local);
    int result = domain == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on)
                                   : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    if (result == 0 && domain == AF_INET6) result = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (result == 0 && domain == AF_INET) {
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mtu_discovery, sizeof mtu_discovery);
    } else if (result == 0) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mtu_discovery, sizeof mtu_discovery);
    }
    // A kernel without it delivers each datagram by itself.
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    if (result == 0) result = bind(fd, (struct sockaddr *)&address, size);
    if (result == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

int adit_round_receive(struct adit_round *round, int fd, int first, struct adit_datagram *received) {
    int count = recvmmsg(fd, round->in + first, (unsigned)(ADIT_ROUND_SLOTS - first), MSG_DONTWAIT, NULL);
    if (count < 0) return -errno;
    for (int i = first; i < first + count; i++) {
        struct msghdr *header = &round->in[i].msg_hdr;
        received[i].length = header->msg_flags & MSG_TRUNC ? 0 : round->in[i].msg_len;
        received[i].segment = 0;
        if (header->msg_namelen == 0) round->sources[i].sin6_family = AF_UNSPEC;
        read_peer((const struct sockaddr_storage *)&round->sources[i], &received[i].peer);
        read_control(header, &received[i]);
        header->msg_namelen = sizeof round->sources[i];
        header->msg_controllen = CONTROL_SIZE;
    }
    return count;
}

// Says from which address of this machine a datagram goes; how long the control data is.
static size_t put_local(uint8_t *control, int domain, const struct adit_datagram_peer *peer) {
    struct cmsghdr *item = (struct cmsghdr *)control;
    if (peer->local_family != peer->family) return 0;
    if (domain == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)peer->local_low)};
        item->cmsg_level = IPPROTO_IP;
        item->cmsg_type = IP_PKTINFO;
        item->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(item), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in6_pktinfo info = {.ipi6_ifindex = peer->scope};
    join(&info.ipi6_addr, peer->local_family, peer->local_high, peer->local_low);
    item->cmsg_level = IPPROTO_IPV6;
    item->cmsg_type = IPV6_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(item), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

static size_t put_segment(uint8_t *control, size_t used, uint16_t segment) {
    struct cmsghdr *item = (struct cmsghdr *)(control + used);
    item->cmsg_level = IPPROTO_UDP;
    item->cmsg_type = UDP_SEGMENT;
    item->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(item), &segment, sizeof segment);
    return used + CMSG_SPACE(sizeof segment);
}

static int same_way(const struct adit_datagram_peer *one, const struct adit_datagram_peer *other) {
    return one->low == other->low && one->port == other->port && one->high == other->high &&
           one->local_low == other->local_low && one->local_high == other->local_high && one->scope == other->scope;
}

// The datagrams that one call takes, from answers[first] on; `next` becomes the first that it does not.
static unsigned fill_messages(
    struct adit_round *round, int domain, const struct adit_round_answer *answers, int32_t first, int32_t *next
) {
    unsigned count = 0;
    size_t parts = 0;
    while (first >= 0 && count < ADIT_ROUND_SLOTS && parts < PARTS) {
        const struct adit_round_answer *answer = &answers[first];
        struct iovec *run = &round->parts[parts];
        size_t length = 1, bytes = answer->length;
        run[0] = (struct iovec){.iov_base = (void *)answer->bytes, .iov_len = answer->length};
        first = answer->next;
        if (!round->sends_no_runs && answer->length > 0 && answer->length <= RUN_DATAGRAM_SIZE) {
            while (first >= 0 && length < RUN_DATAGRAMS && parts + length < PARTS) {
                const struct adit_round_answer *other = &answers[first];
                if (other->length == 0 || other->length > answer->length || bytes + other->length > RUN_BYTES) break;
                if (!same_way(&answer->peer, &other->peer)) break;
                run[length++] = (struct iovec){.iov_base = (void *)other->bytes, .iov_len = other->length};
                bytes += other->length;
                first = other->next;
                // A shorter one ends a run.
                if (other->length < answer->length) break;
            }
        }
        uint8_t *control = round->out_controls[count];
        size_t used = put_local(control, domain, &answer->peer);
        if (length > 1) used = put_segment(control, used, (uint16_t)answer->length);
        round->out[count].msg_len = 0;
        round->out[count].msg_hdr = (struct msghdr){
            .msg_name = &round->targets[count],
            .msg_namelen = fill(&round->targets[count], domain, &answer->peer),
            .msg_iov = run,
            .msg_iovlen = length,
            .msg_control = used > 0 ? control : NULL,
            .msg_controllen = used,
        };
        parts += length;
        count++;
    }
    *next = first;
    return count;
}

// Whether a socket tells with this of something that it sent before, and not of what it is to send.
static int is_late(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
           error == EPROTO || error == EACCES || error == ENOPROTOOPT;
}

// Sends the datagrams of a run one by one; how many were not taken.
static int send_apart(int fd, const struct msghdr *run) {
    int lost = 0;
    struct msghdr single = *run;
    // The length of the segments stands last.
    single.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
    if (single.msg_controllen == 0) single.msg_control = NULL;
    single.msg_iovlen = 1;
    for (size_t i = 0; i < run->msg_iovlen; i++) {
        single.msg_iov = run->msg_iov + i;
        if (sendmsg(fd, &single, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) lost++;
    }
    return lost;
}

int adit_round_send(
    struct adit_round *round, int fd, int family, const struct adit_round_answer *answers, int32_t first
) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    int lost = 0;
    while (first >= 0) {
        unsigned count = fill_messages(round, domain, answers, first, &first);
        int repeated = 0;
        for (unsigned done = 0; done < count;) {
            int sent = sendmmsg(fd, round->out + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent > 0) {
                done += (unsigned)sent;
                repeated = 0;
                continue;
            }
            if (errno == EINTR) continue;
            if (is_late(errno) && !repeated) {
                repeated = 1;
                continue;
            }
            // It concerns the first datagram alone: one that cannot be sent must not hold up the others.
            const struct msghdr *message = &round->out[done].msg_hdr;
            if (message->msg_iovlen > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
                // The way out, such as an interface with a small MTU, takes no runs of this kind.
                if (errno == EIO) round->sends_no_runs = 1;
                lost += send_apart(fd, message);
            } else {
                lost += (int)message->msg_iovlen;
            }
            done++;
            repeated = 0;
        }
    }
    return lost;
}

#else

#include <errno.h>
#include <stdlib.h>

struct adit_round *adit_round_create(void) { return NULL; }
uint8_t *adit_round_slab(struct adit_round *round) { return NULL; }
void adit_round_destroy(struct adit_round *round) {}
int adit_round_bind(int family, uint64_t high, uint64_t low, uint16_t port) { return -ENOTSUP; }
int adit_round_receive(struct adit_round *round, int fd, int first, struct adit_datagram *received) {
    return -ENOTSUP;
}
int adit_round_send(
    struct adit_round *round, int fd, int family, const struct adit_round_answer *answers, int32_t first
) {
    return -ENOTSUP;
}

#endif
