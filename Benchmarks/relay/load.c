// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0
//
// Both ends of the traffic that the relay benchmark measures: the service behind the relay and its visitors. One thread
// and few system calls each, so that most of a small machine is left to what is measured. Loopback only.
//
//   load serve                                        prints its port (TCP and UDP), ends at the end of its input
//   load bulk PORT up|down STREAMS BYTES              BYTES in all
//   load pingpong PORT SIZE COUNT                     one connection
//   load connections PORT CONCURRENT COUNT            connect, one 64-byte request and answer, close
//   load hold PORT                                    reads totals, opens up to them, prints "held N"
//   load forward PORT                                 a plain UDP hop: prints its port, ends at the end of its input
//   load datagrams PORT up|down SIZE COUNT WINDOW     COUNT datagrams, at most WINDOW unacknowledged
//
// What visitors ran prints `units seconds`; datagrams count as units when they arrived.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, BATCH = 32, LARGEST_DATAGRAM = 65507, MESSAGE = 64 };

static char block[BLOCK];

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

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// Binds to the port, or to a free one for 0.
static int bound_port(int fd, int port) {
    struct sockaddr_in address = loopback(port);
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind: %s", strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

static void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int dial(int port, int flags) {
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (fd < 0) fail("socket: %s", strerror(errno));
    struct sockaddr_in address = loopback(port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect to %d: %s", port, strerror(errno));
    no_delay(fd);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t count) {
    for (const char *next = bytes; count > 0;) {
        ssize_t sent = write(fd, next, count);
        if (sent < 0) fail("write: %s", strerror(errno));
        next += sent;
        count -= (size_t)sent;
    }
}

static void receive_all(int fd, void *bytes, size_t count) {
    for (char *next = bytes; count > 0;) {
        ssize_t got = read(fd, next, count);
        if (got < 0) fail("read: %s", strerror(errno));
        if (got == 0) fail("the connection ended early");
        next += got;
        count -= (size_t)got;
    }
}

static void watch(int epoll, int operation, int fd, uint32_t events, void *owner) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

// MARK: Datagrams

static int datagram_socket(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), large = 4 << 20;
    if (fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    return fd;
}

// Of every datagram; what is longer is filling.
struct datagram {
    char kind;  // R request, O request taken, F of a flow, A acknowledgement
    char direction;
    char last;
    uint32_t flow, sequence, received;  // sequence counts from 1
    uint32_t size, count, window;
} __attribute__((packed));

// Sends a flow over a connected socket. Silence for 50 ms means that all which was under way is lost.
static uint32_t send_flow(int fd, struct datagram flow) {
    static char bytes[LARGEST_DATAGRAM];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH][2];
    struct datagram heads[BATCH];
    uint32_t sent = 0, highest = 0, received = 0;
    int silences = 0;
    for (int index = 0; index < BATCH; index++) {
        parts[index][0] = (struct iovec){&heads[index], sizeof heads[index]};
        parts[index][1] = (struct iovec){bytes, flow.size - sizeof heads[index]};
        messages[index] = (struct mmsghdr){.msg_hdr = {.msg_iov = parts[index], .msg_iovlen = 2}};
    }
    flow.kind = 'F';
    while (highest < flow.count && silences < 20) {
        uint32_t room = flow.window - (sent - highest), left = flow.count - sent;
        uint32_t batch = room < left ? room : left;
        if (batch > BATCH) batch = BATCH;
        if (batch == BATCH || (batch > 0 && batch == left)) {
            for (uint32_t index = 0; index < batch; index++) {
                heads[index] = flow;
                heads[index].sequence = sent + index + 1;
                heads[index].last = sent + index + 1 == flow.count;
            }
            int done = sendmmsg(fd, messages, batch, 0);
            if (done < 0 && errno != ECONNREFUSED && errno != ENOBUFS) fail("sendmmsg: %s", strerror(errno));
            sent += done > 0 ? (uint32_t)done : 0;
        }
        for (int wait = 0; wait >= 0;) {
            wait = sent < flow.count && flow.window - (sent - highest) >= BATCH ? 0 : 50;
            struct pollfd ready = {.fd = fd, .events = POLLIN};
            struct datagram heard;
            if (poll(&ready, 1, wait) == 0) {
                if (wait > 0) silences++, highest = sent;
                break;
            }
            if (recv(fd, &heard, sizeof heard, MSG_DONTWAIT) != sizeof heard) break;
            if (heard.kind != 'A' || heard.flow != flow.flow) continue;
            silences = 0;
            if (heard.sequence > highest) highest = heard.sequence;
            if (heard.received > received) received = heard.received;
            if (highest == flow.count) break;
        }
    }
    return received;
}

// Receives a flow over a connected socket until its last datagram or two silent seconds.
static uint32_t receive_flow(int fd, uint32_t flow) {
    static char bytes[BATCH][2048];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct datagram answer = {.kind = 'A', .flow = flow};
    uint32_t acknowledged = 0;
    for (int index = 0; index < BATCH; index++) {
        parts[index] = (struct iovec){bytes[index], sizeof bytes[index]};
        messages[index] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[index], .msg_iovlen = 1}};
    }
    for (int last = 0; !last;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 2000) == 0) break;
        int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int index = 0; index < count; index++) {
            struct datagram *one = (struct datagram *)bytes[index];
            if (messages[index].msg_len < sizeof *one || one->kind != 'F' || one->flow != flow) continue;
            answer.received++;
            if (one->sequence > answer.sequence) answer.sequence = one->sequence;
            last |= one->last;
        }
        if (answer.received - acknowledged >= BATCH || last) {
            acknowledged = answer.received;
            for (int copies = last ? 3 : 1; copies > 0; copies--) send(fd, &answer, sizeof answer, 0);
        }
    }
    return answer.received;
}

static void serve_datagrams(int fd) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    struct datagram request;
    ssize_t got = recvfrom(fd, &request, sizeof request, MSG_DONTWAIT, (struct sockaddr *)&peer, &length);
    if (got != sizeof request || request.kind != 'R') return;
    // Connected for as long as the flow takes: only its visitor is heard.
    if (connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0) fail("connect: %s", strerror(errno));
    struct datagram taken = request;
    taken.kind = 'O';
    send(fd, &taken, sizeof taken, 0);
    if (request.direction == 'u') receive_flow(fd, request.flow);
    else send_flow(fd, request);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    connect(fd, &nobody, sizeof nobody);
}

static void datagrams(int port, const char *direction, uint32_t size, uint32_t count, uint32_t window) {
    if (size < sizeof(struct datagram) || size > 2000 || window < BATCH) fail("a size or window that does not fit");
    int fd = datagram_socket();
    struct sockaddr_in address = loopback(port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect: %s", strerror(errno));
    struct datagram request = {.kind = 'R', .direction = direction[0], .size = size, .count = count, .window = window};
    request.flow = (uint32_t)getpid() ^ (uint32_t)(now() * 1e6);
    struct datagram answer = {0};
    double begun = 0;
    for (int attempt = 0; answer.kind != 'O'; attempt++) {
        if (attempt == 10) fail("no answer over UDP port %d", port);
        begun = now();
        send(fd, &request, sizeof request, 0);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 500) > 0) recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    }
    uint32_t arrived = direction[0] == 'u' ? send_flow(fd, request) : receive_flow(fd, request.flow);
    printf("%u %.6f\n", arrived, now() - begun);
}

// One receive and one send for each datagram and a socket for each visitor: what the simplest relay does.
static void forward(int target) {
    enum { VISITORS = 64 };
    static struct visitor {
        int fd;
        struct sockaddr_in address;
    } visitors[VISITORS];
    static char bytes[LARGEST_DATAGRAM];
    static int input_mark, front_mark;
    int epoll = epoll_create1(0), known = 0, front = datagram_socket();
    alarm(0);
    printf("%d\n", bound_port(front, 0));
    fflush(stdout);
    watch(epoll, EPOLL_CTL_ADD, 0, EPOLLIN, &input_mark);
    watch(epoll, EPOLL_CTL_ADD, front, EPOLLIN, &front_mark);
    for (;;) {
        struct epoll_event events[VISITORS];
        int ready = epoll_wait(epoll, events, VISITORS, -1);
        for (int index = 0; index < ready; index++) {
            struct visitor *one = events[index].data.ptr;
            if (events[index].data.ptr == &input_mark) return;
            for (int turn = 0; turn < BATCH; turn++) {
                if (events[index].data.ptr != &front_mark) {
                    ssize_t got = recv(one->fd, bytes, sizeof bytes, MSG_DONTWAIT);
                    if (got < 0) break;
                    sendto(front, bytes, (size_t)got, 0, (struct sockaddr *)&one->address, sizeof one->address);
                    continue;
                }
                struct sockaddr_in from;
                socklen_t length = sizeof from;
                ssize_t got = recvfrom(front, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
                if (got < 0) break;
                for (one = visitors; one < visitors + known && one->address.sin_port != from.sin_port;) one++;
                if (one == visitors + known) {
                    if (known == VISITORS) fail("too many visitors");
                    struct sockaddr_in address = loopback(target);
                    *one = (struct visitor){datagram_socket(), from};
                    known++;
                    if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0)
                        fail("connect: %s", strerror(errno));
                    watch(epoll, EPOLL_CTL_ADD, one->fd, EPOLLIN, one);
                }
                send(one->fd, bytes, (size_t)got, 0);
            }
        }
    }
}

// MARK: The service

struct connection {
    int fd;
    char mode;  // 0 until the first byte: Up and Down have a count after it, E echoes, G is an HTTP request
    unsigned head;
    char count[8];
    uint64_t left;
    unsigned matched;
};

static char answer[2048];
static size_t answer_length;

static void finish(struct connection *one) {
    close(one->fd);
    free(one);
}

// False when the connection is over.
static int source(struct connection *one) {
    for (int turn = 0; turn < 4 && one->left > 0; turn++) {
        ssize_t sent = write(one->fd, block, one->left < BLOCK ? one->left : BLOCK);
        if (sent < 0) return errno == EAGAIN;
        one->left -= (uint64_t)sent;
    }
    return 1;
}

static int requests(struct connection *one, const char *bytes, ssize_t count) {
    static const char end[] = "\r\n\r\n";
    for (ssize_t index = 0; index < count; index++) {
        one->matched = bytes[index] == end[one->matched] ? one->matched + 1 : bytes[index] == '\r';
        if (one->matched < 4) continue;
        one->matched = 0;
        if (write(one->fd, answer, answer_length) != (ssize_t)answer_length) return 0;
    }
    return 1;
}

static int serve_connection(int epoll, struct connection *one) {
    if (one->mode == 'D' && one->left > 0) {
        if (!source(one)) return 0;
        if (one->left == 0) watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLIN, one);
        return 1;
    }
    ssize_t got = read(one->fd, block, BLOCK);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return 0;
    char *bytes = block;
    if (one->mode == 0) {
        one->mode = block[0];
        if (one->mode != 'G') bytes++, got--;
    }
    if (one->mode == 'E') return got == 0 || write(one->fd, bytes, (size_t)got) == got;
    if (one->mode == 'G') return requests(one, bytes, got);
    while (one->head < 8 && got > 0) one->count[one->head++] = *bytes++, got--;
    if (one->head == 8) {
        one->head++;
        memcpy(&one->left, one->count, 8);
        if (one->mode == 'D') watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLIN | EPOLLOUT, one);
    }
    if (one->mode == 'U' && one->head > 8 && one->left > 0) {
        one->left -= (uint64_t)got;
        if (one->left == 0) return write(one->fd, "!", 1) == 1;
    }
    return 1;
}

static void serve(void) {
    alarm(0);
    int epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int port = bound_port(listener, 0), udp = datagram_socket();
    if (listen(listener, 4096) < 0) fail("listen: %s", strerror(errno));
    bound_port(udp, port);
    int head = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n");
    memset(answer + head, 'a', 1024);
    answer_length = (size_t)head + 1024;
    static int input_mark, listener_mark, udp_mark;
    watch(epoll, EPOLL_CTL_ADD, 0, EPOLLIN, &input_mark);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, &listener_mark);
    watch(epoll, EPOLL_CTL_ADD, udp, EPOLLIN, &udp_mark);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int index = 0; index < count; index++) {
            void *owner = events[index].data.ptr;
            if (owner == &input_mark) {
                if (read(0, block, BLOCK) <= 0) return;
            } else if (owner == &listener_mark) {
                for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    struct connection *one = calloc(1, sizeof *one);
                    if (one == NULL) fail("no memory");
                    one->fd = fd;
                    no_delay(fd);
                    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, one);
                }
            } else if (owner == &udp_mark) {
                serve_datagrams(udp);
            } else if (!serve_connection(epoll, owner)) {
                finish(owner);
            }
        }
    }
}

// MARK: Visitors

static void bulk(int port, const char *direction, int streams, uint64_t total) {
    struct stream {
        int fd;
        uint64_t left;
    } all[64];
    if (streams < 1 || streams > 64) fail("1 to 64 streams");
    int epoll = epoll_create1(0), up = direction[0] == 'u', open = streams;
    uint64_t each = total / (uint64_t)streams;
    double begun = now();
    for (int index = 0; index < streams; index++) {
        char head[9] = {up ? 'U' : 'D'};
        memcpy(head + 1, &each, 8);
        all[index] = (struct stream){dial(port, 0), each};
        send_all(all[index].fd, head, sizeof head);
        watch(epoll, EPOLL_CTL_ADD, all[index].fd, up ? EPOLLOUT : EPOLLIN, &all[index]);
    }
    while (open > 0) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, -1);
        for (int index = 0; index < count; index++) {
            struct stream *one = events[index].data.ptr;
            if (up && one->left > 0) {
                ssize_t sent = send(one->fd, block, one->left < BLOCK ? one->left : BLOCK, MSG_DONTWAIT);
                if (sent < 0 && errno != EAGAIN) fail("send: %s", strerror(errno));
                one->left -= sent > 0 ? (uint64_t)sent : 0;
                if (one->left == 0) watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLIN, one);
                continue;
            }
            ssize_t got = recv(one->fd, block, BLOCK, MSG_DONTWAIT);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) fail("a stream ended early");
            if (!up) one->left -= (uint64_t)got;
            if (one->left > 0) continue;
            watch(epoll, EPOLL_CTL_DEL, one->fd, 0, NULL);
            open--;
        }
    }
    printf("%llu %.6f\n", (unsigned long long)each * (unsigned long long)streams, now() - begun);
}

static void pingpong(int port, size_t size, uint64_t count) {
    if (size < 1 || size > 4096) fail("1 to 4096 bytes");
    int fd = dial(port, 0);
    send_all(fd, "E", 1);
    double begun = 0;
    for (uint64_t index = 0; index <= count; index++) {
        if (index == 1) begun = now();  // the first one waits for the way to be built
        send_all(fd, block, size);
        receive_all(fd, block, size);
    }
    printf("%llu %.6f\n", (unsigned long long)count, now() - begun);
}

static void connections(int port, int concurrent, uint64_t count) {
    if (concurrent < 1 || concurrent > 1024) fail("1 to 1024 at a time");
    struct visit {
        int fd;
        size_t got;
    } *all = calloc((size_t)concurrent, sizeof *all);
    if (all == NULL) fail("no memory");
    int epoll = epoll_create1(0);
    uint64_t started = 0, done = 0;
    char request[MESSAGE + 1] = "E";
    double begun = now();
    for (; started < (uint64_t)concurrent && started < count; started++) {
        all[started] = (struct visit){dial(port, SOCK_NONBLOCK), 0};
        watch(epoll, EPOLL_CTL_ADD, all[started].fd, EPOLLOUT, &all[started]);
    }
    while (done < count) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int index = 0; index < ready; index++) {
            struct visit *one = events[index].data.ptr;
            if (events[index].events & EPOLLOUT) {
                if (write(one->fd, request, sizeof request) != sizeof request) fail("write: %s", strerror(errno));
                watch(epoll, EPOLL_CTL_MOD, one->fd, EPOLLIN, one);
                continue;
            }
            ssize_t got = read(one->fd, block, BLOCK);
            if (got <= 0) fail("connection %llu ended early", (unsigned long long)done);
            one->got += (size_t)got;
            if (one->got < MESSAGE) continue;
            close(one->fd);
            done++;
            if (started == count) continue;
            started++;
            *one = (struct visit){dial(port, SOCK_NONBLOCK), 0};
            watch(epoll, EPOLL_CTL_ADD, one->fd, EPOLLOUT, one);
        }
    }
    printf("%llu %.6f\n", (unsigned long long)count, now() - begun);
}

static void hold(int port) {
    alarm(0);
    int held = 0, wanted;
    while (scanf("%d", &wanted) == 1) {
        alarm(60);
        while (held < wanted) {
            int opened[64], count = wanted - held < 64 ? wanted - held : 64;
            char byte;
            for (int index = 0; index < count; index++) {
                opened[index] = dial(port, 0);
                send_all(opened[index], "E!", 2);
            }
            for (int index = 0; index < count; index++) receive_all(opened[index], &byte, 1);
            held += count;
        }
        alarm(0);
        printf("held %d\n", held);
        fflush(stdout);
    }
}

int main(int count, char **values) {
    const char *what = count > 1 ? values[1] : "";
    int port = count > 2 ? atoi(values[2]) : 0;
    uint64_t last = count > 3 ? strtoull(values[count - 1], NULL, 10) : 0;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, too_late);
    alarm(60);
    if (!strcmp(what, "serve")) serve();
    else if (!strcmp(what, "forward") && count == 3) forward(port);
    else if (!strcmp(what, "hold") && count == 3) hold(port);
    else if (!strcmp(what, "bulk") && count == 6) bulk(port, values[3], atoi(values[4]), last);
    else if (!strcmp(what, "pingpong") && count == 5) pingpong(port, (size_t)atoi(values[3]), last);
    else if (!strcmp(what, "connections") && count == 5) connections(port, atoi(values[3]), last);
    else if (!strcmp(what, "datagrams") && count == 7)
        datagrams(port, values[3], (uint32_t)atoi(values[4]), (uint32_t)atoi(values[5]), (uint32_t)last);
    else fail("unknown order; the head of load.c has them");
    return 0;
}
