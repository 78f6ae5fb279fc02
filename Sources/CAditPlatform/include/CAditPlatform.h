// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_PLATFORM_H
#define ADIT_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "datagram.h"
#include "network.h"
#include "probe.h"
#include "round.h"

// Linux calls that Swift's Glibc module does not offer, or only through macros. Where nothing else is said they give
// what the call gives, or a negative errno. None blocks except adit_epoll_wait, and calls cut short by a signal are
// made again.

// What one wake-up of epoll says: bits of the enumeration below, for the descriptor registered under `token`.
struct adit_event {
    uint64_t token;
    uint32_t bits;
};

enum {
    ADIT_EVENT_READABLE = 1,
    ADIT_EVENT_WRITABLE = 2,
    // The peer sends nothing more.
    ADIT_EVENT_ENDING = 4,
    ADIT_EVENT_FAILED = 8,
};

int adit_epoll_create(void);
// Registers a socket for everything, edge-triggered.
int adit_epoll_add_socket(int epoll, int socket, uint64_t token);
// Registers a descriptor for reading, level-triggered.
int adit_epoll_add_signal(int epoll, int descriptor, uint64_t token);
// Registers a descriptor for reading and errors, which are told once until it is armed again.
int adit_epoll_add_once(int epoll, int descriptor, uint64_t token);
int adit_epoll_arm_again(int epoll, int descriptor, uint64_t token);
// Waits for at most `timeout` milliseconds, for ever with -1; gives the number of events, at most 256.
int adit_epoll_wait(int epoll, struct adit_event *events, int capacity, int timeout);

int adit_signal_create(void);
void adit_signal_raise(int signal);
void adit_signal_clear(int signal);

// Makes a pipe of about `capacity` bytes; the kernel may give less. ends[0] is read, ends[1] written.
int adit_pipe_create(int ends[2], int capacity);
ssize_t adit_splice(int from, int to, size_t count);
ssize_t adit_receive(int socket, void *bytes, size_t count);
// Never raises SIGPIPE.
ssize_t adit_send(int socket, const void *bytes, size_t count);

int adit_duplicate(int descriptor);
int adit_end_output(int socket);
// The error that waits at a socket, as a positive errno; 0 when there is none. It is taken by this.
int adit_take_error(int socket);
void adit_close(int descriptor);
// Closes a TCP connection with a reset.
void adit_close_with_reset(int socket);

// Keeps every signal away from the calling thread, and names it (at most 15 bytes).
void adit_prepare_thread(const char *name);

// Lets the process keep up to 16 MiB of freed memory for its next buffers (mallopt(3)); to be called before other threads are.
void adit_keep_freed_memory(void);

// The permission bits of a file, links followed.
int adit_file_permissions(const char *path);

#endif
