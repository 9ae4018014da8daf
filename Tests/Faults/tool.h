// SPDX-License-Identifier: Apache-2.0
//
// tool.h
// What the programs of the harness have in common: commands on standard input, one a line, each answered with a line;
// chance; and how they give up. Each defines `name` and `obey` before it includes this.

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t randomState;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s: %s\n", name, what, strerror(errno));
    exit(1);
}

/// A number below `below`, by splitmix64.
static uint64_t draw(uint64_t below) {
    uint64_t z = (randomState += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return z % below;
}

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

/// Whole lines of what came; ends the process with the input.
static void readCommands(void) {
    static char text[4096];
    static size_t length;
    ssize_t more = read(0, text + length, sizeof text - 1 - length);
    if (more <= 0) exit(0);
    text[length += more] = 0;
    char *end;
    while ((end = strchr(text, '\n'))) {
        *end = 0;
        obey(text);
        length -= end + 1 - text;
        memmove(text, end + 1, length + 1);
    }
}

/// Answers with six counts.
static void sayCounts(const uint64_t counts[6]) {
    for (int place = 0; place < 6; place++) printf("%llu%c", (unsigned long long)counts[place], place < 5 ? ' ' : '\n');
    fflush(stdout);
}
