// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "network.h"

#include <errno.h>

#ifdef __linux__

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "address.h"

static int open_netlink(uint32_t groups) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

// Reads an address of `length` bytes; its family, or 0.
static uint8_t read_address(const void *bytes, size_t length, uint64_t *high, uint64_t *low) {
    if (length == 4) {
        uint32_t number;
        memcpy(&number, bytes, sizeof number);
        *high = 0;
        *low = ntohl(number);
        return 4;
    }
    if (length == 16) {
        struct in6_addr address;
        memcpy(&address, bytes, sizeof address);
        return split(&address, high, low);
    }
    return 0;
}

static int read_route(const struct nlmsghdr *message, struct adit_route *route) {
    const struct rtmsg *header = NLMSG_DATA(message);
    if (header->rtm_type != RTN_UNICAST && header->rtm_type != RTN_LOCAL) return -ENETUNREACH;
    int length = (int)RTM_PAYLOAD(message);
    for (const struct rtattr *item = RTM_RTA(header); RTA_OK(item, length); item = RTA_NEXT(item, length)) {
        const void *bytes = RTA_DATA(item);
        const size_t count = RTA_PAYLOAD(item);
        switch (item->rta_type) {
        case RTA_GATEWAY:
            route->gateway_family = read_address(bytes, count, &route->gateway_high, &route->gateway_low);
            break;
        case RTA_PREFSRC:
            route->source_family = read_address(bytes, count, &route->source_high, &route->source_low);
            break;
        case RTA_OIF:
            if (count == sizeof route->interface) memcpy(&route->interface, bytes, count);
            break;
        default: break;
        }
    }
    return 0;
}

// Appends an attribute to a message that has room for it.
static void append(struct nlmsghdr *header, unsigned short type, const void *bytes, size_t size) {
    struct rtattr *item = (struct rtattr *)((uint8_t *)header + NLMSG_ALIGN(header->nlmsg_len));
    item->rta_type = type;
    item->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(item), bytes, size);
    header->nlmsg_len = NLMSG_ALIGN(header->nlmsg_len) + RTA_ALIGN(item->rta_len);
}

int adit_route_to(const struct adit_datagram_peer *destination, uint32_t interface, struct adit_route *route) {
    memset(route, 0, sizeof *route);
    int fd = open_netlink(0);
    if (fd < 0) return fd;
    struct {
        struct nlmsghdr header;
        struct rtmsg message;
        uint8_t space[64];
    } request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
        .message = {.rtm_family = destination->family == 4 ? AF_INET : AF_INET6},
    };
    if (destination->family == 4) {
        uint32_t number = htonl((uint32_t)destination->low);
        append(&request.header, RTA_DST, &number, sizeof number);
        request.message.rtm_dst_len = 32;
    } else {
        struct in6_addr address;
        join(&address, 6, destination->high, destination->low);
        append(&request.header, RTA_DST, &address, sizeof address);
        request.message.rtm_dst_len = 128;
    }
    if (interface != 0) append(&request.header, RTA_OIF, &interface, sizeof interface);
    int result = -EIO;
    // The kernel has answered when send returns (netlink(7)).
    if (send(fd, &request, request.header.nlmsg_len, 0) >= 0) {
        _Alignas(struct nlmsghdr) uint8_t answer[8192];
        ssize_t count = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
        const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
        if (count < 0) {
            result = -errno;
        } else if (NLMSG_OK(header, (size_t)count)) {
            if (header->nlmsg_type == NLMSG_ERROR) result = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
            if (header->nlmsg_type == RTM_NEWROUTE) result = read_route(header, route);
        }
    } else {
        result = -errno;
    }
    close(fd);
    return result;
}

int adit_interface_mtu(const char *name) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    int result = ioctl(fd, SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : -errno;
    close(fd);
    return result;
}

int adit_network_watch(void) {
    return open_netlink(
        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
}

int adit_network_changed(int watch) {
    uint8_t message[8192];
    int found = 0;
    for (int round = 0; round < 256; round++) {
        ssize_t count = recv(watch, message, sizeof message, MSG_DONTWAIT);
        // ENOBUFS says that messages were lost: something has changed.
        if (count < 0 && errno != EINTR && errno != ENOBUFS) break;
        found = 1;
    }
    return found;
}

#else

int adit_route_to(const struct adit_datagram_peer *destination, uint32_t interface, struct adit_route *route) { return -ENOTSUP; }
int adit_interface_mtu(const char *name) { return -ENOTSUP; }
int adit_network_watch(void) { return -ENOTSUP; }
int adit_network_changed(int watch) { return -ENOTSUP; }

#endif
