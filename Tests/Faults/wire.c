// SPDX-License-Identifier: Apache-2.0
//
// wire.c
// A switch between network namespaces that cuts, delays, loses, doubles and damages what passes, by direction.
//
//     wire SEED NAMESPACE...      one port for each namespace file, numbered from 0; its device is named "wire"
//
// Ports have the addresses 02:00:00:00:00:NN, so the switch learns nothing and floods nothing. Commands on standard
// input, one a line, each answered with a line:
//
//     set FROM TO CUT LOSS DELAY JITTER DOUBLE DAMAGE     ports; 0 or 1; times in microseconds, the rest per million
//     heal                                                everything passes again
//     counts                                              passed, cut, lost, delayed, doubled, damaged
//
// The end of standard input ends the switch, and its devices with it.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <time.h>

static const char name[] = "wire";
static void obey(char *line);
#include "tool.h"

enum { maxPorts = 16, maxFrame = 65536, maxWaiting = 65536 };

struct rule { int cut; uint32_t loss, delay, jitter, twice, damage; };
struct frame { uint64_t due, number; int port; uint32_t length; uint8_t *bytes; };

static struct rule rules[maxPorts][maxPorts];
static int devices[maxPorts], portCount;
static struct frame waiting[maxWaiting];  // a heap, the next one first
static int waitingCount;
static uint64_t numbers;
static uint64_t passed, wereCut, lost, delayed, doubled, damaged;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int isBefore(const struct frame *a, const struct frame *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void swap(int a, int b) {
    struct frame kept = waiting[a];
    waiting[a] = waiting[b];
    waiting[b] = kept;
}

static void hold(int port, const uint8_t *bytes, uint32_t length, uint64_t due) {
    if (waitingCount == maxWaiting) { lost++; return; }
    struct frame frame = { due, numbers++, port, length, malloc(length) };
    if (!frame.bytes) fail("memory");
    memcpy(frame.bytes, bytes, length);
    int at = waitingCount++;
    waiting[at] = frame;
    for (; at && isBefore(&waiting[at], &waiting[(at - 1) / 2]); at = (at - 1) / 2) swap(at, (at - 1) / 2);
}

static void put(int port, const uint8_t *bytes, uint32_t length) {
    // A full queue loses the frame, as any switch does.
    if (write(devices[port], bytes, length) < 0) lost++;
    else passed++;
}

static void deliverDue(void) {
    uint64_t time = now();
    while (waitingCount && waiting[0].due <= time) {
        put(waiting[0].port, waiting[0].bytes, waiting[0].length);
        free(waiting[0].bytes);
        waiting[0] = waiting[--waitingCount];
        for (int at = 0, next; (next = 2 * at + 1) < waitingCount; at = next) {
            if (next + 1 < waitingCount && isBefore(&waiting[next + 1], &waiting[next])) next++;
            if (!isBefore(&waiting[next], &waiting[at])) break;
            swap(at, next);
        }
    }
}

static void forward(int from, int to, uint8_t *bytes, uint32_t length) {
    const struct rule *rule = &rules[from][to];
    if (rule->cut) { wereCut++; return; }
    if (rule->loss && draw(1000000) < rule->loss) { lost++; return; }
    if (rule->damage && length > 64 && draw(1000000) < rule->damage) {
        // Behind the headers' addresses: the receiver's checksums have to find it.
        bytes[34 + draw(length - 34)] ^= 1 << draw(8);
        damaged++;
    }
    int copies = 1;
    if (rule->twice && draw(1000000) < rule->twice) { copies = 2; doubled++; }
    while (copies--) {
        if (!rule->delay && !rule->jitter) { put(to, bytes, length); continue; }
        delayed++;
        hold(to, bytes, length, now() + rule->delay + (rule->jitter ? draw(rule->jitter) : 0));
    }
}

static void receive(int from) {
    static uint8_t bytes[maxFrame];
    for (int count = 0; count < 64; count++) {  // then the other ports, and what is due
        ssize_t length = read(devices[from], bytes, sizeof bytes);
        if (length < 14) return;
        static const uint8_t prefix[5] = { 2, 0, 0, 0, 0 };
        int to = bytes[5];
        if (memcmp(bytes, prefix, 5) == 0 && to < portCount) forward(from, to, bytes, (uint32_t)length);
    }
}

static int openDevice(const char *name) {
    int home = open("/proc/self/ns/net", O_RDONLY), there = open(name, O_RDONLY);
    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0) fail(name);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    strcpy(request.ifr_name, "wire");
    if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0) fail("/dev/net/tun");
    if (setns(home, CLONE_NEWNET) < 0) fail("coming back");
    close(there);
    close(home);
    return device;
}

static void obey(char *line) {
    int from, to, cut;
    unsigned loss, delay, jitter, twice, damage;
    if (sscanf(line, "set %d %d %d %u %u %u %u %u", &from, &to, &cut, &loss, &delay, &jitter, &twice, &damage) == 8
        && from >= 0 && from < portCount && to >= 0 && to < portCount) {
        rules[from][to] = (struct rule){ cut, loss, delay, jitter, twice, damage };
    } else if (strcmp(line, "heal") == 0) {
        memset(rules, 0, sizeof rules);
    } else if (strcmp(line, "counts") == 0) {
        return sayCounts((uint64_t[]){ passed, wereCut, lost, delayed, doubled, damaged });
    } else {
        return say("no such command");
    }
    say("ok");
}

int main(int count, char **words) {
    if (count < 3 || count - 2 > maxPorts) {
        fprintf(stderr, "usage: wire SEED NAMESPACE...\n");
        return 64;
    }
    randomState = strtoull(words[1], NULL, 10);
    portCount = count - 2;
    struct pollfd polls[maxPorts + 1];
    for (int port = 0; port < portCount; port++) {
        devices[port] = openDevice(words[port + 2]);
        polls[port] = (struct pollfd){ devices[port], POLLIN, 0 };
    }
    polls[portCount] = (struct pollfd){ 0, POLLIN, 0 };
    say("ok");
    for (;;) {
        struct timespec wait = { 3600, 0 };
        if (waitingCount) {
            uint64_t time = now(), due = waiting[0].due, left = due > time ? due - time : 0;
            wait = (struct timespec){ left / 1000000, left % 1000000 * 1000 };
        }
        if (ppoll(polls, portCount + 1, &wait, NULL) < 0 && errno != EINTR) fail("poll");
        deliverDue();
        for (int port = 0; port < portCount; port++)
            if (polls[port].revents & POLLIN) receive(port);
        if (polls[portCount].revents) readCommands();
    }
}
