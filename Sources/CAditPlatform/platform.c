// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE

#include "CAditPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAXIMUM_EVENTS 256

#define AGAIN_WHEN_INTERRUPTED(result, call) \
    do { \
        (result) = (call); \
    } while ((result) < 0 && errno == EINTR)

int adit_epoll_create(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -errno : epoll;
}

static int add(int epoll, int descriptor, uint64_t token, uint32_t events) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int adit_epoll_add_socket(int epoll, int socket, uint64_t token) {
    return add(epoll, socket, token, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int adit_epoll_add_signal(int epoll, int descriptor, uint64_t token) {
    return add(epoll, descriptor, token, EPOLLIN);
}

int adit_epoll_add_once(int epoll, int descriptor, uint64_t token) {
    return add(epoll, descriptor, token, EPOLLIN | EPOLLONESHOT);
}

int adit_epoll_arm_again(int epoll, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = token}};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) < 0 ? -errno : 0;
}

int adit_epoll_wait(int epoll, struct adit_event *events, int capacity, int timeout) {
    struct epoll_event found[MAXIMUM_EVENTS];
    int limit = capacity < MAXIMUM_EVENTS ? capacity : MAXIMUM_EVENTS;
    int count;
    AGAIN_WHEN_INTERRUPTED(count, epoll_wait(epoll, found, limit, timeout));
    if (count < 0) return -errno;
    for (int index = 0; index < count; index++) {
        uint32_t bits = 0;
        if (found[index].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) bits |= ADIT_EVENT_READABLE;
        if (found[index].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) bits |= ADIT_EVENT_WRITABLE;
        if (found[index].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) bits |= ADIT_EVENT_ENDING;
        if (found[index].events & EPOLLERR) bits |= ADIT_EVENT_FAILED;
        events[index] = (struct adit_event){.token = found[index].data.u64, .bits = bits};
    }
    return count;
}

int adit_signal_create(void) {
    int signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return signal < 0 ? -errno : signal;
}

void adit_signal_raise(int signal) {
    uint64_t one = 1;
    ssize_t result;
    // It fails only when the counter is full, and then the reader will wake up anyway.
    AGAIN_WHEN_INTERRUPTED(result, write(signal, &one, sizeof one));
}

void adit_signal_clear(int signal) {
    uint64_t count;
    ssize_t result;
    AGAIN_WHEN_INTERRUPTED(result, read(signal, &count, sizeof count));
}

int adit_pipe_create(int ends[2], int capacity) {
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    // A user who has many pipes already gets no larger ones; a small pipe works too.
    (void)fcntl(ends[1], F_SETPIPE_SZ, capacity);
    return 0;
}

ssize_t adit_splice(int from, int to, size_t count) {
    ssize_t moved;
    AGAIN_WHEN_INTERRUPTED(moved, splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    return moved < 0 ? -errno : moved;
}

ssize_t adit_receive(int socket, void *bytes, size_t count) {
    ssize_t moved;
    AGAIN_WHEN_INTERRUPTED(moved, recv(socket, bytes, count, MSG_DONTWAIT));
    return moved < 0 ? -errno : moved;
}

ssize_t adit_send(int socket, const void *bytes, size_t count) {
    ssize_t moved;
    AGAIN_WHEN_INTERRUPTED(moved, send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
    return moved < 0 ? -errno : moved;
}

int adit_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

int adit_end_output(int socket) {
    return shutdown(socket, SHUT_WR) < 0 ? -errno : 0;
}

int adit_take_error(int socket) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

void adit_close(int descriptor) {
    (void)close(descriptor);
}

void adit_close_with_reset(int socket) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(socket);
}

void adit_prepare_thread(const char *name) {
    sigset_t signals;
    sigfillset(&signals);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)pthread_setname_np(pthread_self(), name);
}

int adit_file_permissions(const char *path) {
    struct stat facts;
    return stat(path, &facts) < 0 ? -errno : (int)(facts.st_mode & 07777);
}

void adit_keep_freed_memory(void) {
#ifdef __GLIBC__
    // Unset, the first limit moves with what is freed, and the second is 128 KiB: each 64 KiB buffer at the top of the heap is
    // then given back and asked for again, page by page.
    (void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
    (void)mallopt(M_TOP_PAD, 1 << 20);
#endif
}
