// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0
//
// Clients and peers of a TURN server, for its benchmark. One thread, few system calls.
//
//   load SIZE WINDOW COUNT STREAM CLIENT PEER [CLIENT PEER]...
//
// CLIENT and PEER are descriptors that were made ready before: a client's socket or connection, connected to the server, with
// channel 0x4000 bound to the peer; the peer's socket, connected to the client's relay. Each flow carries payloads of SIZE
// bytes both ways, at most WINDOW of them under way in each direction, until COUNT have arrived in all. With STREAM 1 the
// clients' descriptors are TCP. Prints `arrived sent seconds`.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

enum { BATCH = 32, LARGEST = 1500, HEADER = 4, MOST_FLOWS = 256, CHUNK = 65536 };

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

// One end of a flow: what it sends arrives at `other`.
struct end {
    int fd, stream, header;
    struct end *other;
    uint64_t sent, taken, lost;
    size_t partial;  // bytes of a stream that are no whole message yet, or are still to be written
    size_t unwritten;
};

static size_t size;
static uint8_t message[CHUNK * 2], places[BATCH][LARGEST + 8];
static struct mmsghdr outgoing[BATCH], incoming[BATCH];
static struct iovec out_places[BATCH], in_places[BATCH];

static size_t framed(const struct end *end) { return end->stream ? HEADER + ((size + 3) & ~(size_t)3) : size + (size_t)end->header; }

static void put(struct end *end, uint64_t count) {
    if (end->stream) {
        size_t each = framed(end), room = CHUNK / each;
        while (count > 0 || end->unwritten > 0) {
            if (end->unwritten == 0) {
                uint64_t now = count < room ? count : room;
                end->unwritten = now * each;
                end->sent += now;
                count -= now;
            }
            // The same message over and over: where a write broke off, it goes on.
            size_t offset = (each - end->unwritten % each) % each;
            ssize_t done = send(end->fd, message + offset, end->unwritten, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (done <= 0) return;
            end->unwritten -= (size_t)done;
        }
        return;
    }
    while (count > 0) {
        unsigned batch = count < BATCH ? (unsigned)count : BATCH;
        for (unsigned i = 0; i < batch; i++) {
            out_places[i] = (struct iovec){places[i] + (end->header ? 0 : HEADER), framed(end)};
        }
        int sent = sendmmsg(end->fd, outgoing, batch, MSG_DONTWAIT);
        if (sent <= 0) return;
        end->sent += (uint64_t)sent;
        count -= (uint64_t)sent;
    }
}

static uint64_t take(struct end *end) {
    static uint8_t chunk[CHUNK], landing[BATCH][LARGEST + 64];
    uint64_t good = 0;
    if (end->stream) {
        ssize_t got = recv(end->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got == 0) fail("the server closed a connection");
        if (got < 0) return 0;
        end->partial += (size_t)got;
        good = end->partial / framed(end);
        end->partial %= framed(end);
    } else {
        for (int i = 0; i < BATCH; i++) in_places[i] = (struct iovec){landing[i], sizeof landing[i]};
        int got = recvmmsg(end->fd, incoming, BATCH, MSG_DONTWAIT, NULL);
        if (got <= 0) return 0;
        for (int i = 0; i < got; i++) {
            if (incoming[i].msg_len != framed(end)) fail("a datagram of %u bytes", incoming[i].msg_len);
        }
        good = (uint64_t)got;
    }
    end->taken += good;
    return good;
}

int main(int count, char **values) {
    if (count < 7 || (count - 5) % 2 != 0) fail("SIZE WINDOW COUNT STREAM CLIENT PEER...");
    size = strtoul(values[1], NULL, 10);
    uint64_t window = strtoull(values[2], NULL, 10), wanted = strtoull(values[3], NULL, 10), arrived = 0, sent = 0;
    int stream = atoi(values[4]), flows = (count - 5) / 2;
    if (size < 1 || size > 1452 || window < 1 || window > 1024 || flows > MOST_FLOWS) fail("a number that does not fit");
    signal(SIGALRM, too_late);
    alarm(90);
    static struct end ends[2 * MOST_FLOWS];
    const uint8_t header[HEADER] = {0x40, 0, (uint8_t)(size >> 8), (uint8_t)size};
    for (int i = 0; i < BATCH; i++) {
        memcpy(places[i], header, HEADER);
        outgoing[i].msg_hdr = (struct msghdr){.msg_iov = &out_places[i], .msg_iovlen = 1};
        incoming[i].msg_hdr = (struct msghdr){.msg_iov = &in_places[i], .msg_iovlen = 1};
    }
    size_t each = HEADER + ((size + 3) & ~(size_t)3);
    for (size_t at = LARGEST; at + each <= sizeof message; at += each) memcpy(message + at, header, HEADER);
    int epoll = epoll_create1(0);
    for (int i = 0; i < 2 * flows; i++) {
        ends[i] = (struct end){
            .fd = atoi(values[5 + i]), .stream = stream && i % 2 == 0, .header = i % 2 == 0 ? HEADER : 0, .other = &ends[i ^ 1]};
        fcntl(ends[i].fd, F_SETFL, O_NONBLOCK);
        int large = 1 << 20;
        setsockopt(ends[i].fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &ends[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i].fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
    }
    double begun = now();
    for (int i = 0; i < 2 * flows; i++) put(&ends[i], window);
    int silences = 0;
    while (arrived < wanted) {
        struct epoll_event events[2 * MOST_FLOWS];
        int ready = epoll_wait(epoll, events, 2 * MOST_FLOWS, 50);
        if (ready == 0) {
            // What was under way is lost.
            if (++silences == 40) fail("nothing arrives any more after %llu", (unsigned long long)arrived);
            for (int i = 0; i < 2 * flows; i++) {
                ends[i].lost = ends[i].sent - ends[i].other->taken;
                put(&ends[i], window);
            }
            continue;
        }
        silences = 0;
        for (int i = 0; i < ready; i++) {
            struct end *end = events[i].data.ptr, *other = end->other;
            arrived += take(end);
            uint64_t under_way = other->sent - end->taken - other->lost;
            if (under_way > other->sent) under_way = 0;
            if (under_way < window || other->unwritten > 0) put(other, under_way < window ? window - under_way : 0);
        }
    }
    double seconds = now() - begun;
    for (int i = 0; i < 2 * flows; i++) sent += ends[i].sent;
    printf("%llu %llu %.6f\n", (unsigned long long)arrived, (unsigned long long)sent, seconds);
    return 0;
}
