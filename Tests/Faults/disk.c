// SPDX-License-Identifier: Apache-2.0
//
// disk.c
// A disk with a write cache that power loss empties: a file for a loop device, served through FUSE.
//
//     disk IMAGE BYTES FILE       serves FILE (an empty one that exists) with what IMAGE holds
//
// What is written lies in the cache until a flush brings it to the image. A loop device turns the barriers of the file
// system on it into such flushes, so that the file system and the process above it are the real ones, with all their
// caches, and lose what a machine loses. Commands on standard input, one a line, each answered with a line:
//
//     off SEED KEPT       power fails: of the cache's sectors, KEPT in a thousand reached the disk; nothing else will
//     on                  power is back
//     errors WRITES READS so many in a million fail with EIO
//     slow MICROSECONDS   each request takes so much longer
//     counts              reads, writes, flushes, failed, sectors lost, sectors kept
//
// The end of standard input ends the disk.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static const char name[] = "disk";
static void obey(char *line);
#include "tool.h"

enum { blockBytes = 4096, sectorBytes = 512, sectorsPerBlock = 8, maxWrite = 1 << 20 };

struct block { uint8_t dirty; uint8_t bytes[blockBytes]; };

static int image, device, isOff;
static uint64_t size;
static struct block **cache;     // by block number; absent ones are as in the image
static uint64_t *cachedNumbers;  // blocks of the cache, in no order
static uint64_t cachedCount;
static uint64_t writeErrors, readErrors, slowness;
static uint64_t reads, writes, flushes, failed, sectorsLost, sectorsKept;
static uint8_t answerBytes[maxWrite + blockBytes];

static void readImage(uint8_t *bytes, uint64_t at, size_t length) {
    if (pread(image, bytes, length, at) != (ssize_t)length) fail("reading the image");
}

static struct block *cached(uint64_t number) {
    if (!cache[number]) {
        if (!(cache[number] = malloc(sizeof(struct block)))) fail("memory");
        cache[number]->dirty = 0;
        readImage(cache[number]->bytes, number * blockBytes, blockBytes);
        cachedNumbers[cachedCount++] = number;
    }
    return cache[number];
}

/// Brings the cache to the image: all of it, or the sectors that a failing power supply still let through.
///
/// Block 0 gets there whole or not at all: ext4 writes its superblock, two sectors under one checksum, past its journal when it
/// notes an error, and relies on a disk that writes 4 KiB at once. A torn one cannot be mounted without e2fsck.
static void empty(unsigned keptOfThousand) {
    for (uint64_t i = 0; i < cachedCount; i++) {
        uint64_t number = cachedNumbers[i];
        struct block *block = cache[number];
        int fate = number ? -1 : draw(1000) < keptOfThousand;  // of all of its sectors at once, if it is not -1
        for (int sector = 0; sector < sectorsPerBlock; sector++) {
            if (!(block->dirty >> sector & 1)) continue;
            if (keptOfThousand < 1000) {
                if (fate < 0 ? draw(1000) >= keptOfThousand : !fate) { sectorsLost++; continue; }
                sectorsKept++;
            }
            uint64_t at = (uint64_t)sector * sectorBytes;
            if (pwrite(image, block->bytes + at, sectorBytes, number * blockBytes + at) != sectorBytes)
                fail("writing the image");
        }
        free(block);
        cache[number] = NULL;
    }
    cachedCount = 0;
}

static void store(const uint8_t *bytes, uint64_t at, size_t length) {
    while (length) {
        uint64_t number = at / blockBytes, begin = at % blockBytes;
        size_t part = blockBytes - begin < length ? blockBytes - begin : length;
        struct block *block = cached(number);
        memcpy(block->bytes + begin, bytes, part);
        for (uint64_t s = begin / sectorBytes; s <= (begin + part - 1) / sectorBytes; s++) block->dirty |= 1 << s;
        at += part, bytes += part, length -= part;
    }
}

static void load(uint8_t *bytes, uint64_t at, size_t length) {
    readImage(bytes, at, length);
    for (uint64_t number = at / blockBytes; number * blockBytes < at + length; number++) {
        if (!cache[number]) continue;
        uint64_t from = number * blockBytes < at ? at : number * blockBytes;
        uint64_t to = (number + 1) * blockBytes > at + length ? at + length : (number + 1) * blockBytes;
        memcpy(bytes + (from - at), cache[number]->bytes + from % blockBytes, to - from);
    }
}

static void answer(uint64_t request, int error, const void *body, size_t length) {
    struct fuse_out_header header = { sizeof header + length, error ? -error : 0, request };
    struct iovec parts[2] = { { &header, sizeof header }, { (void *)body, length } };
    // ENOENT: the request was interrupted, nobody waits.
    if (writev(device, parts, length ? 2 : 1) < 0 && errno != ENOENT) fail("answering");
}

static struct fuse_attr attributes(void) {
    struct fuse_attr found = { .ino = 1, .size = size, .blocks = size / 512, .mode = S_IFREG | 0600, .nlink = 1,
                               .blksize = blockBytes };
    return found;
}

static void begin(uint64_t request, const struct fuse_init_in *asked) {
    struct fuse_init_out chosen = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = 0, .flags = (FUSE_BIG_WRITES | FUSE_MAX_PAGES) & asked->flags, .max_background = 64,
        .congestion_threshold = 48, .max_write = maxWrite, .time_gran = 1, .max_pages = maxWrite / 4096 };
    answer(request, 0, &chosen, sizeof chosen);
}

static int chance(uint64_t ofMillion) {
    if (!ofMillion || draw(1000000) >= ofMillion) return 0;
    failed++;
    return 1;
}

static void serveWrite(uint64_t request, const struct fuse_write_in *what) {
    writes++;
    if (what->offset + what->size > size) return answer(request, EIO, NULL, 0);
    if (chance(writeErrors)) return answer(request, EIO, NULL, 0);
    if (!isOff) store((const uint8_t *)(what + 1), what->offset, what->size);
    else sectorsLost += what->size / sectorBytes;  // of the system's own cache, which goes with the mount
    struct fuse_write_out done = { .size = what->size };
    answer(request, 0, &done, sizeof done);
}

static void serveRead(uint64_t request, const struct fuse_read_in *what) {
    reads++;
    if (chance(readErrors)) return answer(request, EIO, NULL, 0);
    uint64_t at = what->offset < size ? what->offset : size;
    uint64_t length = what->size < size - at ? what->size : size - at;
    load(answerBytes, at, length);
    answer(request, 0, answerBytes, length);
}

static void serveFlush(uint64_t request) {
    flushes++;
    if (chance(writeErrors)) return answer(request, EIO, NULL, 0);
    if (!isOff) empty(1000);
    answer(request, 0, NULL, 0);
}

static void serve(void) {
    static uint8_t bytes[maxWrite + 2 * blockBytes];
    ssize_t length = read(device, bytes, sizeof bytes);
    if (length < 0 && (errno == ENODEV || errno == ECONNABORTED)) exit(0);  // unmounted
    if (length < 0) return;
    const struct fuse_in_header *header = (const void *)bytes;
    const void *body = header + 1;
    uint64_t request = header->unique;
    if (slowness && (header->opcode == FUSE_WRITE || header->opcode == FUSE_READ || header->opcode == FUSE_FSYNC)) {
        struct timespec time = { slowness / 1000000, slowness % 1000000 * 1000 };
        nanosleep(&time, NULL);
    }
    switch (header->opcode) {
    case FUSE_INIT: return begin(request, body);
    case FUSE_READ: return serveRead(request, body);
    case FUSE_WRITE: return serveWrite(request, body);
    case FUSE_FSYNC: return serveFlush(request);
    case FUSE_GETATTR: {
        struct fuse_attr_out found = { .attr_valid = 3600, .attr = attributes() };
        return answer(request, 0, &found, sizeof found);
    }
    case FUSE_OPEN: {
        struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO };
        return answer(request, 0, &opened, sizeof opened);
    }
    case FUSE_STATFS: {
        struct fuse_statfs_out found = { .st = { .bsize = blockBytes, .namelen = 255 } };
        return answer(request, 0, &found, sizeof found);
    }
    case FUSE_FLUSH: case FUSE_RELEASE: case FUSE_ACCESS: case FUSE_SETATTR: return answer(request, 0, NULL, 0);
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    case FUSE_DESTROY: exit(0);
    default: return answer(request, ENOSYS, NULL, 0);
    }
}

static void obey(char *line) {
    unsigned long long a, b;
    if (sscanf(line, "off %llu %llu", &a, &b) == 2 && b < 1000) {
        randomState = a;
        isOff = 1;
        empty((unsigned)b);
    } else if (sscanf(line, "errors %llu %llu", &a, &b) == 2) {
        writeErrors = a, readErrors = b;
    } else if (sscanf(line, "slow %llu", &a) == 1) {
        slowness = a;
    } else if (strcmp(line, "on") == 0) {
        isOff = 0, writeErrors = readErrors = slowness = 0;
    } else if (strcmp(line, "counts") == 0) {
        return sayCounts((uint64_t[]){ reads, writes, flushes, failed, sectorsLost, sectorsKept });
    } else {
        return say("no such command");
    }
    say("ok");
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: disk IMAGE BYTES FILE\n");
        return 64;
    }
    size = strtoull(words[2], NULL, 10) / blockBytes * blockBytes;
    image = open(words[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (image < 0 || ftruncate(image, size) < 0) fail(words[1]);
    cache = calloc(size / blockBytes, sizeof *cache);
    cachedNumbers = calloc(size / blockBytes, sizeof *cachedNumbers);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (!cache || !cachedNumbers || device < 0) fail("/dev/fuse");
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", device);
    if (mount("disk", words[3], "fuse", MS_NOSUID | MS_NODEV, options) < 0) fail(words[3]);
    say("ok");
    struct pollfd polls[2] = { { device, POLLIN, 0 }, { 0, POLLIN, 0 } };
    for (;;) {
        if (poll(polls, 2, -1) < 0 && errno != EINTR) fail("poll");
        if (polls[0].revents) serve();
        if (polls[1].revents) readCommands();
    }
}
