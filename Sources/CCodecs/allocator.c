// SPDX-License-Identifier: Apache-2.0
//
// allocator.c
// Settings of the C library's allocator. glibc returns every large buffer to the kernel when it is freed and faults its
// pages in again at the next use; a broker reuses such buffers all the time.

#include "CCodecs.h"

#if defined(__GLIBC__)
#include <malloc.h>

bool codecs_tune_allocator(int mmap_threshold, int trim_threshold) {
    bool mapped = mallopt(M_MMAP_THRESHOLD, mmap_threshold) == 1;
    bool trimmed = mallopt(M_TRIM_THRESHOLD, trim_threshold) == 1;
    return mapped && trimmed;
}

#else

bool codecs_tune_allocator(int mmap_threshold, int trim_threshold) {
    (void)mmap_threshold;
    (void)trim_threshold;
    return false;
}

#endif
