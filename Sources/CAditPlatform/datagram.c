// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "datagram.h"

#ifdef __linux__

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

// What the kernel may hold in each direction; without the capability for it, as much as the system allows.
static const int queue_bytes = 4 * 1024 * 1024;
// What it may hold for a socket that everybody writes to: there a visitor stands behind all others, so that a longer queue
// is only a longer delay when more comes than can be read.
static const int shared_queue_bytes = 1024 * 1024;

static int make(int domain, int receive_bytes) {
    int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes) != 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &queue_bytes, sizeof queue_bytes) != 0) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue_bytes, sizeof queue_bytes);
    }
    // A kernel without it delivers each datagram by itself.
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    return fd;
}

static int fail(int fd) {
    int error = errno;
    close(fd);
    return -error;
}

int adit_datagram_bind(int family, uint64_t high, uint64_t low, uint16_t port) {
    const struct adit_datagram_peer wanted = {
        .family = (uint8_t)(family == 0 ? 6 : family), .high = high, .low = low, .port = port};
    const int domain = family == 4 ? AF_INET : AF_INET6;
    int fd = make(domain, shared_queue_bytes);
    if (fd < 0) return fd;
    const int on = 1, off = 0;
    // A reply has to come from the address that the visitor wrote to.
    if (domain == AF_INET6) {
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, family == 0 ? &off : &on, sizeof on) != 0) return fail(fd);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    }
    struct sockaddr_storage address;
    socklen_t size = fill(&address, domain, &wanted);
    if (bind(fd, (struct sockaddr *)&address, size) != 0) return fail(fd);
    return fd;
}

int adit_datagram_connect(const struct adit_datagram_peer *peer) {
    const int domain = peer->family == 4 ? AF_INET : AF_INET6;
    int fd = make(domain, queue_bytes);
    if (fd < 0) return fd;
    struct sockaddr_storage address;
    socklen_t size = fill(&address, domain, peer);
    if (connect(fd, (struct sockaddr *)&address, size) != 0) return fail(fd);
    return fd;
}

int adit_datagram_port(int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return -errno;
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int adit_datagram_next_size(int fd) {
    // udp(7), FIONREAD.
    int size = 0;
    return ioctl(fd, FIONREAD, &size) == 0 ? size : -errno;
}

int adit_datagram_receive(int fd, void *slab, struct adit_datagram *received) {
    struct mmsghdr messages[ADIT_DATAGRAM_SLOTS];
    struct iovec places[ADIT_DATAGRAM_SLOTS];
    struct sockaddr_storage sources[ADIT_DATAGRAM_SLOTS];
    _Alignas(struct cmsghdr) uint8_t controls[ADIT_DATAGRAM_SLOTS][128];
    for (int i = 0; i < ADIT_DATAGRAM_SLOTS; i++) {
        places[i].iov_base = (uint8_t *)slab + (size_t)i * ADIT_DATAGRAM_SLOT_SIZE;
        places[i].iov_len = ADIT_DATAGRAM_SLOT_SIZE;
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &sources[i],
            .msg_namelen = sizeof sources[i],
            .msg_iov = &places[i],
            .msg_iovlen = 1,
            .msg_control = controls[i],
            .msg_controllen = sizeof controls[i],
        };
        messages[i].msg_len = 0;
        sources[i].ss_family = AF_UNSPEC;
    }
    int count = recvmmsg(fd, messages, ADIT_DATAGRAM_SLOTS, MSG_DONTWAIT, NULL);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        received[i].length = messages[i].msg_len;
        received[i].segment = 0;
        read_peer(&sources[i], &received[i].peer);
        read_control(&messages[i].msg_hdr, &received[i]);
    }
    return count;
}

// Appends what says from which address of this machine a datagram goes; how long the control data is then.
static size_t put_local(uint8_t *control, size_t used, int domain, const struct adit_datagram_peer *peer) {
    struct cmsghdr *item = (struct cmsghdr *)(control + used);
    if (peer->local_family == 4 && domain == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)peer->local_low)};
        item->cmsg_level = IPPROTO_IP;
        item->cmsg_type = IP_PKTINFO;
        item->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(item), &info, sizeof info);
        return used + CMSG_SPACE(sizeof info);
    }
    if (peer->local_family == peer->family && peer->local_family != 0 && domain == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_ifindex = peer->scope};
        join(&info.ipi6_addr, peer->local_family, peer->local_high, peer->local_low);
        item->cmsg_level = IPPROTO_IPV6;
        item->cmsg_type = IPV6_PKTINFO;
        item->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(item), &info, sizeof info);
        return used + CMSG_SPACE(sizeof info);
    }
    return used;
}

int adit_datagram_send(
    int fd, int family, const struct adit_datagram_peer *peer, const struct iovec *parts, size_t part_count,
    uint16_t segment
) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    struct sockaddr_storage address;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = part_count};
    size_t segment_control = 0;
    if (segment > 0) {
        struct cmsghdr *item = (struct cmsghdr *)control;
        item->cmsg_level = IPPROTO_UDP;
        item->cmsg_type = UDP_SEGMENT;
        item->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(item), &segment, sizeof segment);
        segment_control = CMSG_SPACE(sizeof segment);
    }
    size_t used = segment_control;
    if (peer) {
        header.msg_name = &address;
        header.msg_namelen = fill(&address, domain, peer);
        used = put_local(control, used, domain, peer);
    }
    int refusals = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        header.msg_control = used > 0 ? control : NULL;
        header.msg_controllen = used;
        if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return refusals;
        if (errno == EINTR) continue;
        if (errno == ECONNREFUSED && refusals == 0) {
            // An ICMP error of an earlier datagram is told once, and in place of sending.
            refusals = 1;
        } else if (used > segment_control && errno != EAGAIN && errno != EMSGSIZE) {
            // The address that the datagram came to, such as a broadcast address, may be none to send from.
            used = segment_control;
        } else {
            break;
        }
    }
    return -errno;
}

int64_t adit_datagram_kernel_drops(int fd) {
    // sock_diag(7), SK_MEMINFO_DROPS.
    uint32_t memory[9] = {0};
    socklen_t size = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0) return -errno;
    return size >= sizeof memory ? memory[8] : 0;
}

#else

#include <errno.h>

int adit_datagram_bind(int family, uint64_t high, uint64_t low, uint16_t port) { return -ENOTSUP; }
int adit_datagram_connect(const struct adit_datagram_peer *peer) { return -ENOTSUP; }
int adit_datagram_port(int fd) { return -ENOTSUP; }
int adit_datagram_next_size(int fd) { return -ENOTSUP; }
int adit_datagram_receive(int fd, void *slab, struct adit_datagram *received) { return -ENOTSUP; }
int adit_datagram_send(
    int fd, int family, const struct adit_datagram_peer *peer, const struct iovec *parts, size_t part_count,
    uint16_t segment
) { return -ENOTSUP; }
int64_t adit_datagram_kernel_drops(int fd) { return -ENOTSUP; }

#endif
