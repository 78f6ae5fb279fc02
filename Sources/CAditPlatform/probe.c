// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>

#ifdef __linux__

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>

#include "address.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static const int multicast_hops = 2;
// What the kernel may hold in each direction for a socket that carries payload.
static const int queue_bytes = 4 * 1024 * 1024;

#ifdef SO_BINDTOIFINDEX
const int adit_probe_device_option = SO_BINDTOIFINDEX;
#else
const int adit_probe_device_option = 62;
#endif

static int use_device(int fd, uint32_t device) {
    const int number = (int)device;
    return setsockopt(fd, SOL_SOCKET, adit_probe_device_option, &number, sizeof number);
}

int adit_probe_may_bind(uint32_t device) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = use_device(fd, device) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

static int fail(int fd) {
    int error = errno;
    close(fd);
    return -error;
}

static int prepare_v4(int fd, const struct adit_datagram_peer *local, uint32_t interface) {
    const int on = 1;
    if (setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) != 0) return -1;
    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &multicast_hops, sizeof multicast_hops);
    struct ip_mreqn way = {.imr_address.s_addr = htonl((uint32_t)local->low), .imr_ifindex = (int)interface};
    if (local->low != 0 || interface != 0) setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &way, sizeof way);
    return 0;
}

static int prepare_v6(int fd, uint32_t interface) {
    const int on = 1;
    const int number = (int)interface;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return -1;
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) != 0) return -1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &multicast_hops, sizeof multicast_hops);
    if (interface != 0) setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &number, sizeof number);
    return 0;
}

int adit_probe_bind(int family, uint64_t high, uint64_t low, uint16_t port, uint32_t interface, uint32_t device) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    const struct adit_datagram_peer local = {
        .family = (uint8_t)family, .high = high, .low = low, .port = port, .scope = interface};
    int fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if ((domain == AF_INET ? prepare_v4(fd, &local, interface) : prepare_v6(fd, interface)) != 0) return fail(fd);
    if (device != 0) use_device(fd, device);
    struct sockaddr_storage address;
    socklen_t size = fill(&address, domain, &local);
    if (bind(fd, (struct sockaddr *)&address, size) != 0) return fail(fd);
    return fd;
}

void adit_probe_expect_runs(int fd) {
    const int on = 1;
    // A kernel without them delivers each datagram by itself, and holds as many as it does.
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue_bytes, sizeof queue_bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue_bytes, sizeof queue_bytes);
    const int v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;
    if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4) != 0) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6);
    }
}

int adit_probe_local(int fd, struct adit_datagram_peer *local) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return -errno;
    read_peer(&address, local);
    return 0;
}

static uint32_t run_segment(struct msghdr *header) {
    int segment = 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_GRO) memcpy(&segment, CMSG_DATA(item), sizeof segment);
    }
    return segment > 0 ? (uint32_t)segment : 0;
}

int adit_probe_receive(int fd, void *slab, size_t slot_size, struct adit_datagram *received) {
    struct mmsghdr messages[ADIT_PROBE_SLOTS];
    struct iovec places[ADIT_PROBE_SLOTS];
    struct sockaddr_storage sources[ADIT_PROBE_SLOTS];
    _Alignas(struct cmsghdr) uint8_t controls[ADIT_PROBE_SLOTS][64];
    for (int i = 0; i < ADIT_PROBE_SLOTS; i++) {
        places[i].iov_base = (uint8_t *)slab + (size_t)i * slot_size;
        places[i].iov_len = slot_size;
        messages[i].msg_len = 0;
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &sources[i],
            .msg_namelen = sizeof sources[i],
            .msg_iov = &places[i],
            .msg_iovlen = 1,
            .msg_control = controls[i],
            .msg_controllen = sizeof controls[i],
        };
        sources[i].ss_family = AF_UNSPEC;
    }
    int count = -1;
    for (int attempt = 0; attempt < 16 && count < 0; attempt++) {
        count = recvmmsg(fd, messages, ADIT_PROBE_SLOTS, MSG_DONTWAIT, NULL);
        // An ICMP error is told here once, in place of a datagram; the error queue has all that is to know of it.
        if (count < 0 && (errno == EAGAIN || errno == EBADF)) return -errno;
    }
    if (count < 0) return -EAGAIN;
    for (int i = 0; i < count; i++) {
        received[i].length = messages[i].msg_len;
        const uint32_t segment = run_segment(&messages[i].msg_hdr);
        received[i].segment = segment < messages[i].msg_len ? segment : 0;
        read_peer(&sources[i], &received[i].peer);
    }
    return count;
}

static void read_error(const struct sock_extended_err *error, struct adit_probe_refusal *refusal) {
    if (error->ee_origin == SO_EE_ORIGIN_ICMP) refusal->family = 4;
    if (error->ee_origin == SO_EE_ORIGIN_ICMP6) refusal->family = 6;
    refusal->type = error->ee_type;
    refusal->code = error->ee_code;
    if (error->ee_errno == EMSGSIZE) refusal->mtu = error->ee_info;
    // Only its family and address are set, so that a length is not looked at.
    const struct sockaddr *offender = SO_EE_OFFENDER(error);
    if (offender->sa_family == AF_INET) {
        refusal->reporter_family = 4;
        refusal->reporter_low = ntohl(((const struct sockaddr_in *)offender)->sin_addr.s_addr);
    } else if (offender->sa_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)offender;
        refusal->reporter_family = split(&address->sin6_addr, &refusal->reporter_high, &refusal->reporter_low);
    }
}

int adit_probe_next_refusal(int fd, struct adit_probe_refusal *refusal) {
    memset(refusal, 0, sizeof *refusal);
    struct sockaddr_storage destination = {0};
    uint8_t payload[1];
    _Alignas(struct cmsghdr) uint8_t control[512];
    struct iovec place = {.iov_base = payload, .iov_len = sizeof payload};
    struct msghdr header = {
        .msg_name = &destination,
        .msg_namelen = sizeof destination,
        .msg_iov = &place,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t length;
    do {
        length = recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < 0) return -errno;
    read_peer(&destination, &refusal->destination);
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
        const int is_v4 = item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR;
        const int is_v6 = item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR;
        if ((is_v4 || is_v6) && item->cmsg_len >= CMSG_LEN(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in))) {
            read_error((const struct sock_extended_err *)CMSG_DATA(item), refusal);
        }
    }
    return 0;
}

int adit_probe_send(
    int fd, int family, const struct adit_datagram_peer *peer, const void *bytes, size_t count, int time_to_live,
    uint16_t segment
) {
    const int domain = family == 4 ? AF_INET : AF_INET6;
    struct sockaddr_storage address;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr header = {.msg_name = &address, .msg_iov = &part, .msg_iovlen = 1};
    header.msg_namelen = fill(&address, domain, peer);
    if (segment > 0) {
        struct cmsghdr *item = (struct cmsghdr *)control;
        item->cmsg_level = IPPROTO_UDP;
        item->cmsg_type = UDP_SEGMENT;
        item->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(item), &segment, sizeof segment);
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof segment);
    } else if (time_to_live > 0) {
        struct cmsghdr *item = (struct cmsghdr *)control;
        item->cmsg_level = domain == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
        item->cmsg_type = domain == AF_INET ? IP_TTL : IPV6_HOPLIMIT;
        item->cmsg_len = CMSG_LEN(sizeof time_to_live);
        memcpy(CMSG_DATA(item), &time_to_live, sizeof time_to_live);
        header.msg_control = control;
        header.msg_controllen = sizeof control;
    }
    int error = 0;
    // An ICMP error of an earlier datagram is told once, and in place of sending.
    for (int attempt = 0; attempt < 8; attempt++) {
        if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
        error = errno;
        // A firewall's word (EPERM) is about this one.
        if (error == EAGAIN || error == EPERM || error == EMSGSIZE || error == EBADF || error == EINVAL || error == EIO) break;
    }
    return -error;
}

#else

const int adit_probe_device_option = 0;
int adit_probe_may_bind(uint32_t device) { return -ENOTSUP; }
int adit_probe_bind(int family, uint64_t high, uint64_t low, uint16_t port, uint32_t interface, uint32_t device) {
    return -ENOTSUP;
}
int adit_probe_local(int fd, struct adit_datagram_peer *local) { return -ENOTSUP; }
void adit_probe_expect_runs(int fd) {}
int adit_probe_receive(int fd, void *slab, size_t slot_size, struct adit_datagram *received) { return -ENOTSUP; }
int adit_probe_next_refusal(int fd, struct adit_probe_refusal *refusal) { return -ENOTSUP; }
int adit_probe_send(
    int fd, int family, const struct adit_datagram_peer *peer, const void *bytes, size_t count, int time_to_live,
    uint16_t segment
) { return -ENOTSUP; }

#endif
