// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0
//
// Clients of a STUN server over UDP, for its benchmark. Loopback only, one thread, few system calls.
//
//   load PORT SOCKETS WINDOW COUNT
//
// Sends Binding requests (RFC 8489, 20 bytes) until COUNT were answered; on each of SOCKETS sockets at most WINDOW wait for
// their answer. Every answer has to be a success with the id of a request that was sent. Prints `answered sent seconds`.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 20, LARGEST = 1500, BATCH = 64, MOST_SOCKETS = 64 };

static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static void too_late(int number) {
    (void)number;
    static const char text[] = "load: not done in time\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(3);
    _exit(2);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct client {
    int fd;
    uint32_t salt;
    uint64_t sent, taken, outstanding;
};

static uint8_t requests[BATCH][HEADER];
static struct mmsghdr outgoing[BATCH], incoming[BATCH];
static struct iovec out_places[BATCH], in_places[BATCH];
static uint8_t answers[BATCH][LARGEST];

static void prepare(void) {
    for (int index = 0; index < BATCH; index++) {
        static const uint8_t start[8] = {0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42};
        memcpy(requests[index], start, sizeof start);
        out_places[index] = (struct iovec){requests[index], HEADER};
        in_places[index] = (struct iovec){answers[index], LARGEST};
        outgoing[index].msg_hdr = (struct msghdr){.msg_iov = &out_places[index], .msg_iovlen = 1};
        incoming[index].msg_hdr = (struct msghdr){.msg_iov = &in_places[index], .msg_iovlen = 1};
    }
}

static int dial(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), large = 1 << 20;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect: %s", strerror(errno));
    return fd;
}

static void ask(struct client *one, uint64_t count) {
    while (count > 0) {
        unsigned batch = count < BATCH ? (unsigned)count : BATCH;
        for (unsigned index = 0; index < batch; index++) {
            uint64_t number = one->sent + index;
            memcpy(requests[index] + 8, &one->salt, 4);
            memcpy(requests[index] + 12, &number, 8);
        }
        int sent = sendmmsg(one->fd, outgoing, batch, 0);
        if (sent <= 0) return;
        one->sent += (uint64_t)sent;
        one->outstanding += (uint64_t)sent;
        count -= (uint64_t)sent;
    }
}

static uint64_t take(struct client *one) {
    int got = recvmmsg(one->fd, incoming, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) return 0;
    uint64_t good = 0;
    for (int index = 0; index < got; index++) {
        uint64_t number;
        memcpy(&number, answers[index] + 12, 8);
        if (incoming[index].msg_len < 32 || answers[index][0] != 1 || answers[index][1] != 1 || number >= one->sent ||
            memcmp(answers[index] + 8, &one->salt, 4) != 0) {
            fail("an answer that is none, of %u bytes", incoming[index].msg_len);
        }
        good++;
    }
    one->outstanding -= good < one->outstanding ? good : one->outstanding;
    return good;
}

int main(int count, char **values) {
    if (count != 5) fail("PORT SOCKETS WINDOW COUNT");
    int port = atoi(values[1]), sockets = atoi(values[2]);
    uint64_t window = strtoull(values[3], NULL, 10), wanted = strtoull(values[4], NULL, 10), answered = 0, sent = 0;
    if (sockets < 1 || sockets > MOST_SOCKETS || window < 1 || window > 1024) fail("a number that does not fit");
    signal(SIGALRM, too_late);
    alarm(60);
    prepare();
    static struct client clients[MOST_SOCKETS];
    int epoll = epoll_create1(0);
    for (int index = 0; index < sockets; index++) {
        clients[index] = (struct client){.fd = dial(port), .salt = (uint32_t)getpid() * 64 + (uint32_t)index};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[index]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[index].fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
    }
    double begun = now();
    for (int index = 0; index < sockets; index++) ask(&clients[index], window);
    int silences = 0;
    while (answered < wanted) {
        struct epoll_event events[MOST_SOCKETS];
        int ready = epoll_wait(epoll, events, MOST_SOCKETS, 50);
        if (ready == 0) {
            // What was under way is lost.
            if (++silences == 20) fail("the server is silent after %llu answers", (unsigned long long)answered);
            for (int index = 0; index < sockets; index++) {
                clients[index].outstanding = 0;
                ask(&clients[index], window);
            }
        }
        for (int index = 0; index < ready; index++) {
            struct client *one = events[index].data.ptr;
            answered += take(one);
            if (one->outstanding < window) ask(one, window - one->outstanding);
        }
        if (ready > 0) silences = 0;
    }
    double seconds = now() - begun;
    for (int index = 0; index < sockets; index++) sent += clients[index].sent;
    printf("%llu %llu %.6f\n", (unsigned long long)answered, (unsigned long long)sent, seconds);
    return 0;
}
