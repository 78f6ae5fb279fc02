// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "round.h"

#ifdef __linux__

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { CONTROL_SIZE = CMSG_SPACE(sizeof(struct in6_pktinfo)) };

void adit_round_prepare(int fd) {
    const int off = 0;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &off, sizeof off);
}

static void read_local(struct msghdr *header, struct adit_datagram_peer *peer) {
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof info);
            peer->local_family = split(&info.ipi6_addr, &peer->local_high, &peer->local_low);
        } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof info);
            peer->local_family = 4;
            peer->local_high = 0;
            peer->local_low = ntohl(info.ipi_spec_dst.s_addr);
        }
    }
}

int adit_round_receive(int fd, void *slab, struct adit_datagram *received) {
    struct mmsghdr messages[ADIT_ROUND_SLOTS];
    struct iovec places[ADIT_ROUND_SLOTS];
    struct sockaddr_storage sources[ADIT_ROUND_SLOTS];
    _Alignas(struct cmsghdr) uint8_t controls[ADIT_ROUND_SLOTS][CONTROL_SIZE];
    for (int i = 0; i < ADIT_ROUND_SLOTS; i++) {
        places[i].iov_base = (uint8_t *)slab + (size_t)i * ADIT_ROUND_SLOT_SIZE;
        places[i].iov_len = ADIT_ROUND_SLOT_SIZE;
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &sources[i],
            .msg_namelen = sizeof sources[i],
            .msg_iov = &places[i],
            .msg_iovlen = 1,
            .msg_control = controls[i],
            .msg_controllen = CONTROL_SIZE,
        };
    }
    int count = recvmmsg(fd, messages, ADIT_ROUND_SLOTS, MSG_DONTWAIT, NULL);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &messages[i].msg_hdr;
        received[i].length = header->msg_flags & MSG_TRUNC ? 0 : messages[i].msg_len;
        received[i].segment = 0;
        if (header->msg_namelen == 0) sources[i].ss_family = AF_UNSPEC;
        read_peer(&sources[i], &received[i].peer);
        read_local(header, &received[i].peer);
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

int adit_round_send(int fd, int family, const struct adit_round_answer *answers, size_t count) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    struct mmsghdr messages[ADIT_ROUND_SLOTS];
    struct iovec places[ADIT_ROUND_SLOTS];
    struct sockaddr_storage targets[ADIT_ROUND_SLOTS];
    _Alignas(struct cmsghdr) uint8_t controls[ADIT_ROUND_SLOTS][CONTROL_SIZE];
    if (count > ADIT_ROUND_SLOTS) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        const struct adit_round_answer *answer = &answers[i];
        places[i].iov_base = (void *)answer->bytes;
        places[i].iov_len = answer->length;
        size_t control = put_local(controls[i], domain, &answer->peer);
        messages[i].msg_len = 0;
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &targets[i],
            .msg_namelen = fill(&targets[i], domain, &answer->peer),
            .msg_iov = &places[i],
            .msg_iovlen = 1,
            .msg_control = control > 0 ? controls[i] : NULL,
            .msg_controllen = control,
        };
    }
    int lost = 0;
    for (size_t done = 0; done < count;) {
        int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            done += (size_t)sent;
        } else if (errno != EINTR) {
            // It concerns the first datagram alone: one that cannot be sent must not hold up the others.
            done++;
            lost++;
        }
    }
    return lost;
}

#else

#include <errno.h>

void adit_round_prepare(int fd) {}
int adit_round_receive(int fd, void *slab, struct adit_datagram *received) { return -ENOTSUP; }
int adit_round_send(int fd, int family, const struct adit_round_answer *answers, size_t count) { return -ENOTSUP; }

#endif
