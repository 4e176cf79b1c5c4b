#define _GNU_SOURCE
#include "CEpoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

int kv_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int kv_epoll_watch(int set, int descriptor, uint64_t tag, int is_new, int writing) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (writing ? EPOLLOUT : 0), .data.u64 = tag};
    return epoll_ctl(set, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event);
}

int kv_epoll_wait(int set, struct kv_ready *ready, int count, int64_t nanoseconds) {
    struct epoll_event events[64];
    if (count > 64) count = 64;
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int found = epoll_pwait2(set, events, count, nanoseconds < 0 ? 0 : &limit, 0);
    if (found < 0) return errno == EINTR ? 0 : -1;
    for (int place = 0; place < found; place++) {
        ready[place].tag = events[place].data.u64;
        ready[place].readable = (events[place].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        ready[place].writable = (events[place].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    }
    return found;
}
