/* SPDX-License-Identifier: Apache-2.0
 *
 * ceilings.c
 * What the machine itself can do, measured beside the broker: one JSON line per run.
 *
 *   ceilings fdatasync DIRECTORY COUNT BYTES   p50/p99 microseconds of overwrite + fdatasync of zero-filled blocks
 *   ceilings write DIRECTORY MEBIBYTES         sequential 1 MiB writes and one fdatasync, MB/s
 *   ceilings loopback MEBIBYTES                one TCP stream in 256 KiB writes, MB/s
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int good, const char *what) {
    if (good) return;
    perror(what);
    exit(1);
}

static int open_scratch(const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/ceiling.tmp", directory);
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    check(file >= 0, path);
    unlink(path);
    return file;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void fdatasync_latency(const char *directory, int count, size_t bytes) {
    int file = open_scratch(directory);
    size_t span = 64u << 20;
    char *block = calloc(1, 1 << 20);
    for (size_t at = 0; at < span; at += 1 << 20) check(pwrite(file, block, 1 << 20, (off_t)at) == 1 << 20, "write");
    check(fsync(file) == 0, "fsync");
    double *micros = malloc(sizeof *micros * (size_t)count);
    for (int i = 0; i < count; i++) {
        memset(block, i, bytes);
        double begin = now();
        check(pwrite(file, block, bytes, (off_t)((size_t)i * bytes % (span - bytes))) == (ssize_t)bytes, "write");
        check(fdatasync(file) == 0, "fdatasync");
        micros[i] = (now() - begin) * 1e6;
    }
    qsort(micros, (size_t)count, sizeof *micros, ascending);
    printf("{\"p50\": %.1f, \"p99\": %.1f}\n", micros[count / 2], micros[count * 99 / 100]);
}

static void write_rate(const char *directory, int mebibytes) {
    int file = open_scratch(directory);
    char *block = malloc(1 << 20);
    memset(block, 7, 1 << 20);
    double begin = now();
    for (int i = 0; i < mebibytes; i++) check(write(file, block, 1 << 20) == 1 << 20, "write");
    check(fdatasync(file) == 0, "fdatasync");
    printf("{\"megabytesPerSecond\": %.0f}\n", mebibytes * 1.048576 / (now() - begin));
}

static void *sink(void *argument) {
    int client = accept(*(int *)argument, NULL, NULL);
    char *block = malloc(1 << 18);
    while (read(client, block, 1 << 18) > 0) {
    }
    close(client);
    return NULL;
}

static void loopback_rate(int mebibytes) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    pthread_t thread;
    pthread_create(&thread, NULL, sink, &listener);
    check(connect(client, (struct sockaddr *)&address, length) == 0, "connect");
    char *block = calloc(1, 1 << 18);
    double begin = now();
    for (int i = 0; i < mebibytes * 4; i++)
        for (size_t sent = 0; sent < 1 << 18;) {
            ssize_t wrote = write(client, block + sent, (1 << 18) - sent);
            check(wrote > 0, "send");
            sent += (size_t)wrote;
        }
    shutdown(client, SHUT_WR);
    pthread_join(thread, NULL);
    printf("{\"megabytesPerSecond\": %.0f}\n", mebibytes * 1.048576 / (now() - begin));
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "fdatasync")) fdatasync_latency(argv[2], atoi(argv[3]), strtoul(argv[4], NULL, 10));
    else if (argc == 4 && !strcmp(argv[1], "write")) write_rate(argv[2], atoi(argv[3]));
    else if (argc == 3 && !strcmp(argv[1], "loopback")) loopback_rate(atoi(argv[2]));
    else return 64;
    return 0;
}
