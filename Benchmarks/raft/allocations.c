/* SPDX-License-Identifier: Apache-2.0
 *
 * allocations.c
 * Counts allocations of a program and prints them when it ends. The difference of two runs of different length, divided
 * by the difference in length, is the number per entry:
 *
 *     cc -O2 -shared -fPIC -o allocations.so Benchmarks/raft/allocations.c
 *     LD_PRELOAD=./allocations.so .build/release/raft-benchmark 100000
 *     LD_PRELOAD=./allocations.so .build/release/raft-benchmark 200000
 */
#include <stdio.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_memalign(size_t, size_t);
static unsigned long count;

void *malloc(size_t size) { __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED); return __libc_malloc(size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : 12;
}

__attribute__((destructor)) static void report(void) { fprintf(stderr, "allocations: %lu\n", count); }
